#compdef mcpen
# Completion of mcpen's command lines for zsh: source <(mcpen completion zsh)
_mcpen() {
	local -a found
	local line
	for line in "${(@f)$("${words[1]}" completion words -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
		[[ -n $line ]] || continue
		line=${line//:/\\:}
		found+=("${line/$'\t'/:}")
	done
	if (( $#found )); then
		_describe mcpen found
	else
		_files
	fi
}
if [[ ${funcstack[1]} == _mcpen ]]; then
	_mcpen "$@"
else
	compdef _mcpen mcpen
fi
