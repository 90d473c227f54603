#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# make.sh BUILD FOLDER: how the golden files were made, with the monitor of their day on bare KVM.
# They are not made again: a later monitor may write other bytes. For a new version of the format,
# run this, look at what it made, and add each file with golden.py pack.
set -eu
build=$(realpath "$1")
mkdir -p "$2"
cd "$2"
cp "$build/guest/tguest.elf" .
SPORE_RUNTIME_DIR=$PWD/run
export SPORE_RUNTIME_DIR
mkdir -m 700 -p run
truncate -s 1536K ro.img cow.img
truncate -s 2112K rw.img
truncate -s 1281K odd.img # its last cluster is not a whole one

# freeze NAME "SNAPSHOT OPTION..." RUN-OPTION...
freeze() {
	name=$1 options=$2
	shift 2
	"$build/spore" run --kernel "$PWD/tguest.elf" --name "$name" --detach "$@"
	sleep 2 # for the commands on its command line
	# shellcheck disable=SC2086
	"$build/spore" snapshot "$name" -o "$name.spore" $options
	"$build/spore" stop "$name"
}

freeze one "" --memory 16M --disk "$PWD/ro.img,ro" \
	--cmdline "run=secret,42;fill,7,0x800000,0x800;blk,0,read,0,8;rng,1,64"
freeze smp --disks --memory 32M --cpus 4 --disk "$PWD/ro.img,ro" --disk "$PWD/rw.img,rw" \
	--disk "$PWD/odd.img,cow" --disk "$PWD/cow.img,cow" \
	--cmdline "run=cpus,start;cpus,idle;fill,9,0x1800000,0x800;blk,0,read,0,8;blk,1,write,8,16,5;blk,2,write,3,9,6;rng,4,16;ticks,periodic,500"
freeze high "" --memory 3200M --cpus 2 \
	--cmdline "run=fill,3,0x100000000,0x800;fill,4,0xBFFFF000,0x800"
"$build/spore" restore one.spore --name again --detach
"$build/spore" snapshot again -o restored.spore
"$build/spore" stop again
