#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""outside.py [--memory MB] [--cpus N] [--timeout S] SCENARIO [ARGUMENT]...: one scenario of the Linux tests.

Makes what the scenario boots, then runs it where a Linux guest can run: on this host's KVM if it is
one of hardware, else in the lab, an emulated host of the size given.  It prints TAP.
"""
import argparse
import ctypes
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
LAB_FAILED = 125  # tools/lab --help
BUILD = Path(os.environ.get("BUILD", ROOT / "build")).resolve()


def kit(*arguments):
    return subprocess.run([HERE.parent / "kit", *arguments], check=True, text=True,
                          stdout=subprocess.PIPE).stdout.strip()


def slow_disk():
    library = BUILD / "slow_disk.so"
    subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-shared",
                    "-fPIC", "-o", library, HERE / "slow_disk.c"], check=True)
    return str(library)


def parts():
    """What the scenarios boot; one that is not used costs nothing once it is there."""
    made = {flavour: {"vmlinux": kit("kernel", "--flavour", flavour),
                      "bzimage": kit("kernel", "--flavour", flavour, "--bzimage"),
                      "initrd": kit("initrd", "--flavour", flavour)}
            for flavour in ("generic", "cloud")}
    return {**made, "spore": str(BUILD / "spore"), "slow_disk": slow_disk(),
            "nursery": str(BUILD / "tests" / "linux" / "suite" / "linux-nursery")}


def host_runs_linux():
    doctor = subprocess.run([BUILD / "spore", "doctor", "--json"], text=True,
                            stdout=subprocess.PIPE)
    answer = json.loads(doctor.stdout)
    return answer["kvm"] == "hardware" and answer["ok"]


def end_with_parent():
    """The lab, told so, takes its emulated host down; told nothing, it would go on by itself."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--memory", default="1536")
    parser.add_argument("--cpus", default="1")
    parser.add_argument("--timeout", default="1400")
    parser.add_argument("scenario")
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    command = [HERE / f"{options.scenario}.py", *options.arguments]
    if not host_runs_linux():
        command = [ROOT / "tools" / "lab", "--timeout", options.timeout, "--memory", options.memory,
                   "--cpus", options.cpus, "--", *command]
    os.environ.update(LINUX_PARTS=json.dumps(parts()), PYTHONUNBUFFERED="1")
    status = subprocess.run([str(word) for word in command],
                            preexec_fn=end_with_parent).returncode
    if status == LAB_FAILED:
        print("Bail out! the emulated host died", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
