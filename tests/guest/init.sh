#!/bin/sh
# The first program of the guest: this machine's files, to be read; memory for what is written; all
# controllers of cgroups (v2); loopback. Then the command of its folder, which learns its exit code.
folder=$(dirname "$0")
exec >/dev/tty1 2>&1
stty -opost </dev/tty1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts -o ptmxmode=666 pts /dev/pts
mount -t tmpfs -o mode=1777 shm /dev/shm
mount -t tmpfs -o mode=755 run /run
ln -s /proc/self/fd /dev/fd
for stream in stdin:0 stdout:1 stderr:2; do
  ln -s "/proc/self/fd/${stream#*:}" "/dev/${stream%:*}"
done
mkdir -p /run/home /run/folder
mkdir -m 1777 /run/tmp
mount -t hostfs -o "$folder" folder /run/folder
ip link set lo up

HOME=/run/home TMPDIR=/run/tmp sh /run/folder/command
echo $? >/run/folder/code
sync
echo o >/proc/sysrq-trigger
