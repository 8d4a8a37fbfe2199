#!/bin/sh
# Makes an image a machine of an ordinary user, who is logged in on the console
# and runs what the second disk brings.
set -eu
root=$1
# Only what this machine's disks need: a whole initramfs takes a minute to unpack
# in software.
printf 'virtio_blk\nvirtio_pci\nvirtio_mmio\next4\n' >>"$root/etc/initramfs-tools/modules"
sed -i 's/^MODULES=.*/MODULES=list/' "$root/etc/initramfs-tools/initramfs.conf"
chroot "$root" update-initramfs -u >/dev/null 2>&1
chroot "$root" useradd -m -s /bin/bash -G sudo ada
chroot "$root" useradd -m -s /bin/bash ben
echo '%sudo ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/all"
echo vm >"$root/etc/hostname"
echo '127.0.0.1 localhost vm' >"$root/etc/hosts"
mkdir -p "$root/payload"
for tty in ttyS0 ttyAMA0; do
	dir=$root/etc/systemd/system/serial-getty@$tty.service.d
	mkdir -p "$dir"
	printf '[Service]\nExecStart=\nExecStart=-/sbin/agetty --autologin ada --noclear --keep-baud 115200 %%I linux\n' >"$dir/autologin.conf"
done
# The login shell of the console runs the checks; any other is a shell.
cat >"$root/home/ada/.bash_profile" <<'P'
case $(tty) in
/dev/ttyS0 | /dev/ttyAMA0)
	trap '' INT TERM HUP
	sudo mount -o ro /dev/vdb /payload
	bash /payload/guest.sh </dev/null >/tmp/guest.out 2>&1
	cat /tmp/guest.out
	sudo systemctl poweroff --force --force
	;;
esac
P
chroot "$root" chown ada:ada /home/ada/.bash_profile
# In software everything takes ten times as long, and more on a busy machine.
mkdir -p "$root/etc/systemd/system.conf.d" "$root/etc/systemd/user.conf.d"
printf '[Manager]\nDefaultTimeoutStartSec=900\nDefaultDeviceTimeoutSec=900\n' | tee "$root/etc/systemd/system.conf.d/slow.conf" >"$root/etc/systemd/user.conf.d/slow.conf"
# Nothing of the network, and nothing that works behind one's back.
for unit in apt-daily.timer apt-daily-upgrade.timer fstrim.timer e2scrub_all.timer man-db.timer e2scrub_reap.service systemd-networkd-wait-online.service; do
	chroot "$root" systemctl mask "$unit" >/dev/null 2>&1 || true
done
