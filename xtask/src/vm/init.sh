#!/bin/sh
# The first process of a guest: loads the modules, runs the test binaries, and powers off.
# A line that starts with "###" is for the program that reads the console.
export PATH=/sbin:/bin:/usr/sbin:/usr/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm /run /tmp
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t bpf bpf /sys/fs/bpf
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tracefs tracefs /sys/kernel/tracing
echo "### booted $(uname -r), $(cut -d' ' -f1 /proc/uptime) s"

while read -r module parameters; do
    # Not quoted: each parameter is a word.
    insmod "$module" $parameters || echo "### failed module $module"
done < /modules.order
ip link set lo up
hostname guest
echo "### modules, $(cut -d' ' -f1 /proc/uptime) s"

export MTUPROBE_BIN=/tests/mtuprobe MTUPROBE_PROGRAM_SIZES=/tmp/program-sizes
while read -r test filters; do
    echo "### run $test $filters"
    "/tests/$test" --test-threads=1 $filters </dev/null
    echo "### ran $test, status $?, $(cut -d' ' -f1 /proc/uptime) s"
done < /tests/order

echo "### program sizes"
# Missing if the programs could not be loaded.
[ -f "$MTUPROBE_PROGRAM_SIZES" ] && cat "$MTUPROBE_PROGRAM_SIZES"
echo "### done"
poweroff -f
