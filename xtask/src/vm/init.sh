#!/bin/sh
# The first process of a guest: loads the modules, runs the test binaries, and powers off.
# A line that starts with "###" is for the program that reads the console.
export PATH=/sbin:/bin:/usr/sbin:/usr/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/shm /run /tmp
ln -s /proc/self/fd /dev/fd
ln -s fd/0 /dev/stdin
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
# Each new namespace would get seven tunnel devices that nobody asked for, and emulation is slow.
echo 1 > /proc/sys/net/core/fb_tunnels_only_for_init_net
ip link set lo up
hostname guest
echo "### modules, $(cut -d' ' -f1 /proc/uptime) s"

export MTUPROBE_BIN=/tests/mtuprobe MTUPROBE_PROGRAM_SIZES=/tmp/program-sizes
if [ -f /tests/records ]; then
    export MTUPROBE_TEST_RECORDINGS=/tmp/recordings
    mkdir "$MTUPROBE_TEST_RECORDINGS"
fi
while read -r test filters; do
    echo "### run $test $filters"
    "/tests/$test" --test-threads=1 $filters </dev/null
    echo "### ran $test, status $?, $(cut -d' ' -f1 /proc/uptime) s"
done < /tests/order

echo "### program sizes"
# Missing if the programs could not be loaded.
[ -f "$MTUPROBE_PROGRAM_SIZES" ] && cat "$MTUPROBE_PROGRAM_SIZES"
if [ -f /tests/records ]; then
    cd "$MTUPROBE_TEST_RECORDINGS"
    for recording in *.jsonl; do
        echo "### recording $recording"
        gzip -c "$recording" | base64
    done
fi
echo "### done"
poweroff -f
