# Fetches what it is told to with curl, and writes to descriptor 9 what became of
# each: OK, or the exit code of curl.
while [ $# -gt 1 ]; do
	if curl --silent --max-time 30 --output /dev/null "$2"; then said=OK; else said=exit$?; fi
	echo "curl $1 $2 $said" >&9
	shift 2
done
