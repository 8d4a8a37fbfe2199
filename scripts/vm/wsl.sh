#!/bin/sh
# Is the first process of a machine that is as WSL 2 is: no systemd, no session, control
# groups of version 2 that are root's, and an init that listens to the system calls of
# everybody, so that nobody else can (seccomp(2), EBUSY).
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t securityfs securityfs /sys/kernel/security
mount -o remount,rw /
modprobe virtio_console
ip link set lo up
hostname vm
for port in /sys/class/virtio-ports/*; do
	mkdir -p /dev/virtio-ports
	ln -s "../${port##*/}" "/dev/virtio-ports/$(cat "$port/name")"
done
export PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin HOME=/home/ada
python3 /payload/listener.py setpriv --reuid ada --regid ada --init-groups bash /payload/guest.sh >/tmp/guest.out 2>&1 </dev/null
cat /tmp/guest.out
echo o >/proc/sysrq-trigger
sleep 60
