# Files, subprocesses, pipes, job control, a fifo, timeouts and git, as servers
# that shell out use them.
set -euo pipefail
cd "$(mktemp -d)"
printf 'b\na\n' > list
sort list | head -n 1 | grep -qx a
mkdir -p deep/er && cp -a list deep/er/copy && mv deep/er/copy deep/er/moved && ln -s moved deep/er/link
chmod 600 list && touch -d 2001-01-01 list && stat list > /dev/null && du -s . > /dev/null
tar cf - deep | tar tf - > /dev/null
mkfifo pipe && { echo through > pipe & } && read -r line < pipe && wait && [ "$line" = through ]
timeout 5 sleep 0.01
(sleep 0.01; exit 3) & wait $! || [ $? = 3 ]
[ "$(nproc)" -ge 1 ] && ls -lR . | tail -n 1 > /dev/null && df . > /dev/null && id > /dev/null
if command -v git > /dev/null; then
	git init -q repo && cd repo && git config user.email a@example.com && git config user.name a
	echo x > f && git add f && git commit -qm first && git log --oneline | grep -q first && git gc -q
fi
echo ok
