# Completion of mcpen's command lines for fish: mcpen completion fish | source
function __mcpen_words
	set -l words (commandline -opc)
	set -l cur (commandline -ct)
	set -l program $words[1]
	set -e words[1]
	$program completion words -- $words "$cur" 2>/dev/null
end
# Where mcpen has no word to offer, files are.
complete -c mcpen -n '__mcpen_words | string length -q' -f -a '(__mcpen_words)'
