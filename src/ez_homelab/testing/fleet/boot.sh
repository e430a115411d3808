# What a test server's process 1 does before it becomes tini: put the root together, move into it, leave the host behind.
# Runs in namespaces of its own. Arguments: server folder, base root, host name, then the control group mounts
# (`v2`, or one `name:options` per hierarchy of v1).
set -eu
folder=$1 base=$2 name=$3
shift 3

read -r pid rest </proc/self/stat # the number the machine knows this process by
exec 3>"$folder/booting"

mount -t overlay overlay -o "lowerdir=$base,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
cd "$folder/root"

# An engine's data may not lie on an overlay; apt's downloads lie beside those kept for all, so that links can be made.
for place in var/lib/docker var/lib/containerd var/cache/apt/archives; do
    mkdir -p "$place"
    mount --bind "$folder/plain/${place##*/}" "$place"
done

mount -t proc -o nosuid,nodev,noexec proc proc
mount -t sysfs -o nosuid,nodev,noexec sysfs sys
mount -t tmpfs -o nosuid,mode=755,size=4m tmpfs dev
mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs run
mkdir -m 1777 dev/shm run/lock
mkdir dev/pts dev/mqueue dev/net run/sshd run/host
mount -t devpts -o nosuid,noexec,newinstance,gid=5,mode=620,ptmxmode=666 devpts dev/pts
mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs dev/shm
mount -t mqueue mqueue dev/mqueue
while read -r node mode major minor; do
    mknod -m "$mode" "dev/$node" c "$major" "$minor"
done <<NODES
null 666 1 3
zero 666 1 5
full 666 1 7
random 666 1 8
urandom 666 1 9
tty 666 5 0
net/tun 666 10 200
fuse 666 10 229
NODES
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s /proc/self/fd/0 dev/stdin
ln -s /proc/self/fd/1 dev/stdout
ln -s /proc/self/fd/2 dev/stderr

if [ "$1" = v2 ]; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    mkdir sys/fs/cgroup/init
    echo 0 >sys/fs/cgroup/init/cgroup.procs
    for controller in $(cat sys/fs/cgroup/cgroup.controllers); do
        echo "+$controller" >sys/fs/cgroup/cgroup.subtree_control || true
    done
else
    mount -t tmpfs -o nosuid,nodev,noexec,mode=755 tmpfs sys/fs/cgroup
    for hierarchy; do
        mkdir "sys/fs/cgroup/${hierarchy%%:*}"
        mount -t cgroup -o "${hierarchy#*:}" cgroup "sys/fs/cgroup/${hierarchy%%:*}"
    done
    # A controller that someone mounts here first would be a new hierarchy for the whole machine, and stay. Read-only,
    # as systemd leaves it, nothing can be added.
    mount -o remount,ro sys/fs/cgroup
fi

echo "$name" >proc/sys/kernel/hostname
# These hold for the whole machine, whoever writes them, so a server may only read them. /proc/sys/net is its own.
for global in proc/sys/kernel proc/sys/vm proc/sys/fs proc/sys/dev proc/sysrq-trigger proc/irq proc/bus; do
    [ -e "$global" ] || continue
    mount --bind "$global" "$global"
    mount -o remount,bind,ro "$global"
done

find tmp -xdev -mindepth 1 -delete # as Debian does at each start
pivot_root . run/host
cd /
umount -l /run/host # this mount namespace's view of the host only; the host keeps its own
rmdir /run/host
echo "$pid" >&3
exec 3>&-
exec /usr/bin/tini -- /bin/sleep infinity </dev/null
