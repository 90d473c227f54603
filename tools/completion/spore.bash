# SPDX-License-Identifier: Apache-2.0
# bash completion for spore: commands, their options, names of machines, files. Looks at the runtime
# directory itself instead of starting spore at every press of the key. A test compares the options
# with what `spore COMMAND --help` says.

_spore_machines()
{
	local dir entry
	if [ -n "$SPORE_RUNTIME_DIR" ]; then
		dir=$SPORE_RUNTIME_DIR
	elif [ "$(id -u)" = 0 ]; then
		dir=/run/spore
	else
		dir=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/spore
	fi
	for entry in "$dir"/*/; do
		[ -d "$entry" ] && basename "$entry"
	done
}

_spore_commands='run ps pause resume stop console snapshot restore inspect verify serve freeze branch
	spawn zygotes tree pool monitor doctor help version'

_spore_options()
{
	case $1 in
	run)
		echo --kernel --initrd --cmdline --boot --cpus --memory --disk --name --detach \
			--api-sock --config --help ;;
	ps | doctor | inspect | tree)
		echo --json --help ;;
	pause | resume | stop | console | verify | help | version)
		echo --help ;;
	snapshot)
		echo --output --disks --stop --timings --json --help ;;
	restore)
		echo --name --detach --disk --verify --timings --json --api-sock --help ;;
	serve)
		echo --without --keep --detach --help ;;
	freeze | branch)
		echo --as --help ;;
	spawn)
		echo --count --name --disk --mac --clock --hostname --seed --paused --timings --json \
			--help ;;
	zygotes)
		echo --rm --save --output --open --as --json --help ;;
	pool)
		echo --set --armed --json --help ;;
	monitor)
		echo --api-sock --name --help ;;
	esac
}

_spore()
{
	local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]}

	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ]; then
		mapfile -t COMPREPLY < <(compgen -W "$_spore_commands --help --version" -- "$word")
		return
	fi
	case $before in
	--kernel | --initrd | --disk | --config | --api-sock | --output | -o | --open)
		compopt -o default 2>/dev/null
		return ;;
	--boot)
		mapfile -t COMPREPLY < <(compgen -W 'auto pvh linux64 bzimage' -- "$word")
		return ;;
	--clock)
		mapfile -t COMPREPLY < <(compgen -W 'frozen stepped' -- "$word")
		return ;;
	--without)
		mapfile -t COMPREPLY < <(compgen -W 'userns pidns mountns netns ipcns utsns landlock seccomp' \
			-- "$word")
		return ;;
	--cmdline | --cpus | --memory | --name | --as | --count | --mac | --hostname | --seed | -n)
		return ;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_spore_options "$command")" -- "$word")
		return
	fi
	case $command in
	pause | resume | stop | console | snapshot | freeze | branch)
		mapfile -t COMPREPLY < <(compgen -W "$(_spore_machines)" -- "$word") ;;
	restore | inspect | verify | spawn)
		compopt -o default 2>/dev/null ;;
	help)
		mapfile -t COMPREPLY < <(compgen -W "$_spore_commands" -- "$word") ;;
	esac
}

complete -F _spore spore
