# Completion of mcpen's command lines for bash: source <(mcpen completion bash)
_mcpen() {
	COMPREPLY=()
	mapfile -t COMPREPLY < <("${COMP_WORDS[0]}" completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	COMPREPLY=("${COMPREPLY[@]%%$'\t'*}")
}
complete -o bashdefault -o default -F _mcpen mcpen
