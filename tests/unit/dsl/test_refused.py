"""What each setting refuses, and the words it says so with."""
# ruff: noqa: E501, RUF001 - tables are easier to read with one row a line; wide digits are what is tested

from __future__ import annotations

from collections.abc import Callable

import pytest

Refused = Callable[[str], list[str]]

NAME = 'is not a name: 1-64 of A-Z a-z 0-9 _ . -, not beginning with "." or "-"'
HOST_NAME = "is not a host name: 1-64 of A-Z a-z 0-9 _ . -, beginning with a letter or digit"
ID = "a name or a number up to 4294967294"

VALUES = [
    # names
    ("c.name = 'a/b'", f'name: "a/b" {NAME}'),
    ("c.name = '..'", f'name: ".." {NAME}'),
    ("c.name = '.'", f'name: "." {NAME}'),
    ("c.name = ''", f'name: "" {NAME}'),
    ("c.name = '-x'", f'name: "-x" {NAME}'),
    ("c.name = 'a\\nb'", f'name: "a\\x0ab" {NAME}'),
    ("c.name = 'a\\0b'", f'name: "a\\x00b" {NAME}'),
    ("c.name = '\\x1b[2J'", f'name: "\\x1b[2J" {NAME}'),
    ("c.name = 'a' * 65", f'name: "{"a" * 60}…" {NAME}'),
    ("c.name = '%s $(x)'", f'name: "%s $(x)" {NAME}'),
    ("c.name = 'bücher'", f'name: "bücher" {NAME}'),
    ("c.name = None", "name: expected a name, not None"),
    ("c.name = b'web'", "name: expected a name, not a value of type bytes"),
    ("c.name = lambda: 1", "name: expected a name, not a value of type function"),
    ("c.name = 7", "name: expected a name, not 7"),
    ("c.hostname = '_x'", f'hostname: "_x" {HOST_NAME}'),
    ("c.hostname = 'a b'", f'hostname: "a b" {HOST_NAME}'),
    ("c.domainname = 'a' * 65", f'domainname: "{"a" * 60}…" {HOST_NAME}'),
    # programs and environment
    ("c.init_command = ''", "init_command: names no program"),
    ("c.init_command = []", "init_command: names no program"),
    ("c.init_command = ['']", "init_command: names no program"),
    ("c.init_command = ['a\\0']", 'init_command: "a\\x00" has a NUL character'),
    ("c.init_command = ['a', 1]", "init_command: expected text, not 1"),
    ("c.init_command = {'a'}", "init_command: expected a program (text) or a list of a program and its arguments, not a value of type set"),
    ("c.init_command = (x for x in 'ab')", "init_command: expected a program (text) or a list of a program and its arguments, not a value of type generator"),
    ("c.init_command = ['a', 'b' * 131072]", "init_command: is longer than 65536 characters"),
    ("c.init_command = ['a', 'ü' * 65536]", "init_command: is longer than 131071 bytes"),
    ("c.init_command = ['\\ud800']", 'init_command: "\\ud800" cannot be written in UTF-8'),
    ("c.init_command = None", "init_command: expected a program (text) or a list of a program and its arguments, not None"),
    ("l = []; l.append(l); c.init_command = l", "init_command: expected text, not a value of type list"),
    ("c.environ = {'a=b': 'c'}", 'environ: "a=b" has "=" in it'),
    ("c.environ = {'': 'c'}", "environ: expected the name of a variable, not an empty string"),
    ("c.environ = {1: 'c'}", "environ: expected the name of a variable, not 1"),
    ("c.environ = {'A': None}", "environ: expected text or a number, not None"),
    ("c.environ = {'A': True}", "environ: expected text or a number, not True"),
    ("c.environ = {'A': 'x\\0y'}", 'environ: "x\\x00y" has a NUL character'),
    ("c.environ = {'A\\nB': 'x'}", 'environ: "A\\x0aB" has a control character'),
    ("c.environ = [('A', 'b')]", "environ: expected a dict, not a value of type list"),
    ("c.environ['A'] = 1.5", "environ: expected text or a number, not a value of type float"),
    ("c.metadata = {'A': 'x\\ny'}", "metadata: a value has a control character"),
    ("c.metadata = {'A': {}}", "metadata: expected text or a number, not a value of type dict"),
    # paths
    ("c.workdir = 'srv'", 'workdir: "srv" is relative: give the path as seen inside the container'),
    ("c.workdir = '/srv/../etc'", 'workdir: "/srv/../etc" has ".." in it'),
    ("c.workdir = ''", "workdir: expected a path, not an empty string"),
    ("c.workdir = 5", "workdir: expected a path, not 5"),
    ("c.workdir = b'/srv'", "workdir: expected a path, not a value of type bytes"),
    ("c.workdir = '/a\\0b'", 'workdir: "/a\\x00b" has a control character'),
    ("c.workdir = '/' + 'a' * 4096", f'workdir: "/{"a" * 59}…" is longer than 4095 bytes'),
    ("c.container_pid_file = ''", "container_pid_file: expected a path, not an empty string"),
    ("c.chroot_to('/')", 'chroot_to: "/" is the host\'s own root; leave chroot_to out to keep it'),
    ("c.chroot_to('//../.')", 'chroot_to: "//../." is the host\'s own root; leave chroot_to out to keep it'),
    ("c.chroot_to(None)", "chroot_to: expected a path, not None"),
    ("c.rootfs_owner(uid='root', gid=0)", 'rootfs_owner: expected uid= as a number, not "root"'),
    ("c.filesystem.masked_paths = '/proc/x'", 'filesystem.masked_paths: expected a list, not "/proc/x"'),
    ("c.filesystem.add_masked_path('proc/x')", 'filesystem.add_masked_path: "proc/x" is relative: give the path as seen inside the container'),
    # numbers
    ("c.uid = 'two words'", f'uid: "two words" is not {ID}'),
    ("c.uid = '-1'", f'uid: "-1" is not {ID}'),
    ("c.uid = -1", "uid: -1 is not between 0 and 4294967294"),
    ("c.uid = 2**32 - 1", "uid: 4294967295 is not between 0 and 4294967294"),
    ("c.uid = 2**32", "uid: 4294967296 is not between 0 and 4294967294"),
    ("c.uid = '4294967295'", "uid: 4294967295 is not between 0 and 4294967294"),
    ("c.uid = '1' * 5000", f'uid: "{"1" * 60}…" is not {ID}'),
    ("c.uid = 10 ** 5000", "uid: a number of 16610 bits is not between 0 and 4294967294"),
    ("c.uid = '1_0'", f'uid: "1_0" is not {ID}'),
    ("c.uid = '１２'", f'uid: "１２" is not {ID}'),
    ("c.uid = ''", f'uid: "" is not {ID}'),
    ("c.uid = '$'", f'uid: "$" is not {ID}'),
    ("c.uid = 1.0", f"uid: expected {ID}, not a value of type float"),
    ("c.uid = True", f"uid: expected {ID}, not True"),
    ("c.uid = None", f"uid: expected {ID}, not None"),
    ("c.groups = [0] * 65537", "groups: has more than 65536 groups"),
    ("c.groups = 'audio'", 'groups: expected a list of groups, not "audio"'),
    ("c.wait_interval = 0", "wait_interval: 0 is not between 1 and 3600000"),
    ("c.wait_interval = '50'", 'wait_interval: expected a number of milliseconds, not "50"'),
    ("c.log_level = 'loud'", 'log_level: "loud" is not one of debug info warning error'),
    ("c.log_level = 'inf'", 'log_level: "inf" is not one of debug info warning error; did you mean "info"?'),
    ("c.no_new_privs = 1", "no_new_privs: expected True or False, not 1"),
    ("c.rootfs.readonly = 'yes'", 'rootfs.readonly: expected True or False, not "yes"'),
    # mounts
    ("c.add_mount_point('/a\\0', to='/b')", 'add_mount_point: "/a\\x00" has a control character'),
    ("c.add_mount_point('/a', to='b')", 'add_mount_point: "b" is relative: give the path as seen inside the container'),
    ("c.add_mount_point('/a', to='/b/../c')", 'add_mount_point: "/b/../c" has ".." in it'),
    ("c.add_mount_point('/a', to='/b', fs='')", "add_mount_point: expected the name of a file system, not an empty string"),
    ("c.add_mount_point('/a', to='/b', readonly=1)", "add_mount_point: expected True or False, not 1"),
    ("c.add_mount_point('/a', to='/b', options='rw', data='rw')", "add_mount_point: options= and data= are the same: give one"),
    ("c.add_mount_point('/a', to='/b', options='nosiud')", 'add_mount_point: "nosiud" is no option of a bind mount; did you mean "nosuid"?'),
    ("c.add_mount_point('/a', to='/b', options='size=1m')", 'add_mount_point: "size=1m" is no option of a bind mount'),
    ("c.add_mount_point('/a', to='/b', options='ro\\nrw')", 'add_mount_point: options= "ro\\x0arw" has a control character'),
    ("c.add_mount_point('/a', to='/b', criu_ext_key='')", "add_mount_point: expected text, not an empty string"),
    ("c.add_mount_point('/a', to='/b', options='remount')", 'add_mount_point: "remount" is no option of a bind mount'),
    ("c.add_mount_point('/a', to='/b', options='sync')", 'add_mount_point: "sync" is no option of a bind mount'),
    ("c.add_mount_point('/a', to='/b', options='X-mount.mode=9')", 'add_mount_point: "X-mount.mode=9" needs an octal mode'),
    ("c.add_mount_point('/a', to='/b', options='X-mount.owner=root')", 'add_mount_point: "X-mount.owner=root" needs a number up to 4294967294'),
    ("c.add_mount_point('/a', to='/b', options='X-mount.subdir=x')", 'add_mount_point: "X-mount.subdir=x" is nothing that haconiwa does'),
    ("c.add_mount_point('/a', to='/b', options='X-mount.idmap=u:0:1')", 'add_mount_point: "X-mount.idmap=u:0:1" is no list of u:DISK:SHOWN:COUNT, g:… or b:…, separated by blanks'),
    ("c.add_mount_point('x', to='/b', fs='tmpfs', options='X-mount.idmap=b:0:1:1')", "add_mount_point: an id map is for a bind mount"),
    ("c.add_mount_point('x', to='/b', fs='tmpfs', options='move')", 'add_mount_point: "move" is no option of a new file system'),
    ("c.add_mount_point('x', to='/b', fs='tmpfs', options='bind')", 'add_mount_point: "bind" is no option of a new file system; leave out fs= for a bind mount'),
    ("c.add_mount_point('x', to='/b', fs='tmpfs', options='size=' + '1' * 5000)", 'add_mount_point: the value of "size" is longer than the 255 bytes that the kernel takes'),
    ("c.add_mount_point('x', to='/b', fs='overlay', options='lowerdir=/a:/' + 'b' * 255)", 'add_mount_point: the value of "lowerdir" is longer than the 255 bytes that the kernel takes'),
    ("c.add_mount_point('/a', to='/' + 'b' * 4095)", f'add_mount_point: "/{"b" * 59}…" is longer than 4095 bytes'),
    ("c.add_mount_point('/a', to='/b', read_only=True)", 'add_mount_point(read_only=): unknown argument; did you mean "readonly"?'),
    ("c.mount_independent('devtmpfs', hosst=True)", 'mount_independent(hosst=): unknown argument; did you mean "host"?'),
    ("c.namespace.unshare(foo=1)", "namespace.unshare(foo=): unknown argument; it takes persist_in="),
    ("c.command.set_stdout('x')", "command.set_stdout: takes no unnamed arguments; command.set_stdout(file=, host_file=)"),
    ("c.chroot_to()", "chroot_to: lacks path; chroot_to(path)"),
    ("c.groups.append(6)", "what a setting has cannot be changed in place by append(); assign a whole list: c.NAME = [*c.NAME, …]"),
    ("len(1, 2)", "TypeError: len() takes exactly one argument (2 given)"),
    ("c.cgroup['memory.max'] = '1.5G'", 'cgroup["memory.max"]: "1.5G" is not a number of bytes, text such as "256M" with K, M, G or T, or "max"'),
    ("c.add_device('/dev/null', type='c')", "add_device: takes type=, major= and minor= together, or none of them"),
    ("c.add_device('/dev/null', access='rx')", 'add_device: access= "rx" is not made of "r", "w" and "m"'),
    ("c.add_device('/dev/null', access='')", 'add_device: access= "" is not made of "r", "w" and "m"'),
    ("c.add_device('/dev/x', type='pipe', major=1, minor=1)", 'add_device: "pipe" is not "c" or "b"'),
    ("c.add_device('/dev/x', type='c', major=4096, minor=1)", "add_device: 4096 is not between 0 and 4095"),
    ("c.add_device('/no/such/dev')", 'add_device: cannot look at "/no/such/dev": No such file or directory; give type=, major= and minor=, if a container can do without the host\'s'),
    ("c.add_device('/etc/passwd')", 'add_device: "/etc/passwd" is no device'),
    ("c.add_device('dev/x')", 'add_device: "dev/x" is relative: give the path as seen inside the container'),
    ("c.lxcfs_root = 3", "lxcfs_root: expected a path, not 3"),
    ("c.mount_independent()", "mount_independent: names no file system"),
    ("c.mount_independent('proc')", 'mount_independent: "proc" is not one of procfs sysfs devtmpfs devpts shm mqueue cgroup; did you mean "procfs"?'),
    ("c.mount_independent('procfs', readonly=False)", "mount_independent: readonly= is for cgroup"),
    ("c.mount_independent('procfs', host=True)", "mount_independent: host= is for devtmpfs"),
    ("c.mount_independent('shm', hidepid='invisible')", "mount_independent: hidepid= is for procfs"),
    ("c.mount_independent('procfs', hidepid='invisble')", 'mount_independent: "invisble" is not one of noaccess invisible ptraceable; did you mean "invisible"?'),
    ("c.mount_independent('procfs', hidepid=2)", "mount_independent: expected one of noaccess invisible ptraceable, not 2"),
    ("c.mount_independent(3)", "mount_independent: expected the name of a file system, not 3"),
    ("c.chroot_to('/r'); c.mount_network_etc('/q')", 'mount_network_etc: "/q" is not the root that chroot_to was given'),
    # namespaces
    ("c.namespace.unshare()", "namespace.unshare: names no namespace"),
    ("c.namespace.unshare('ns')", 'namespace.unshare: "ns" is not a namespace (mount ipc uts pid net user cgroup time)'),
    ("c.namespace.unshare('network')", 'namespace.unshare: "network" is not a namespace (mount ipc uts pid net user cgroup time); write "net"'),
    ("c.namespace.unshare('net', persist_in='')", "namespace.unshare: expected a path, not an empty string"),
    ("c.namespace.unshare('net', persist_in=7)", "namespace.unshare: expected a path, not 7"),
    ("c.namespace.unshare('net', 'cgroup', persist_in='/x')", "namespace.unshare: persist_in= cannot keep a cgroup namespace: the groups it shows go with the container"),
    ("c.namespace.set_time_offset(boottime=1.5)", "namespace.set_time_offset: expected boottime= as a number of seconds, not a value of type float"),
    ("c.namespace.set_time_offset(monotonic=5 * 10**9)", "namespace.set_time_offset: 5000000000 is not between -4000000000 and 4000000000"),
    ("c.namespace.enter('net')", "namespace.enter: takes one path"),
    ("c.namespace.enter('net', '/a', via='/a')", "namespace.enter: takes one path"),
    ("c.namespace.enter('net', '/a'); c.namespace.use_netns('b')", "namespace.use_netns: another net namespace is entered already; see test.haco:3"),
    ("c.namespace.use_netns('../x')", f'namespace.use_netns: "../x" {NAME}'),
    ("c.namespace.set_uid_mapping(min=-1, max=1, offset=0)", "namespace.set_uid_mapping: -1 is not between 0 and 4294967294"),
    ("c.namespace.set_uid_mapping(min=0, max=0, offset=0)", "namespace.set_uid_mapping: 0 is not between 1 and 4294967295"),
    ("c.namespace.set_uid_mapping(min=0, max=2**32, offset=0)", "namespace.set_uid_mapping: 4294967296 is not between 1 and 4294967295"),
    ("c.namespace.set_gid_mapping(min=1, max=4294967295, offset=0)", "namespace.set_gid_mapping: 4294967295 ids from 1 end above 4294967294"),
    ("c.namespace.map_ids('automatic')", 'namespace.map_ids: expected "auto" or a list of (first id inside, first id on the host, how many), not "automatic"'),
    ("c.namespace.map_ids([])", 'namespace.map_ids: expected "auto" or a list of (first id inside, first id on the host, how many)'),
    ("c.namespace.map_ids([(0, 1)])", 'namespace.map_ids: expected "auto" or a list of (first id inside, first id on the host, how many)'),
    ("c.namespace.map_ids([(0, 1, 2**32)])", "namespace.map_ids: 4294967296 is not between 1 and 4294967295"),
    ("c.namespace.map_ids([(5, 2**32 - 2, 2)])", "namespace.map_ids: 2 ids from 4294967294 end above 4294967294"),
    ("c.namespace.map_ids('auto', size=0)", "namespace.map_ids: 0 is not between 1 and 4294967294"),
    ("c.namespace.map_ids('auto', gids=[(0, 1, 1)])", 'namespace.map_ids: gids= goes with lines, not with "auto"'),
    ("c.namespace.set_gid_mapping(min=0, max='x', offset=0)", 'namespace.set_gid_mapping: expected how many ids as a number, not "x"'),
    # limits and privileges
    ("c.apparmor = ''", "apparmor: expected the name of a profile or context, not an empty string"),
    ("c.apparmor_profile = None", "apparmor_profile: expected the name of a profile or context, not None"),
    ("c.apparmor = 'a\\nb'", 'apparmor: "a\\x0ab" has a control character'),
    ("c.apparmor = 'a' * 4001", f'apparmor: "{"a" * 60}…" is longer than 4000 bytes'),
    ("c.selinux_context = 'svirt_t'", 'selinux_context: "svirt_t" is not a context: user:role:type:level'),
    ("c.selinux_context = 'a:b:c d'", 'selinux_context: "a:b:c d" is not a context: user:role:type:level'),
    ("c.umask = 0o1000", "umask: 0o1000 is not between 0o0 and 0o777"),
    ("c.umask = 1 << 9999", "umask: a number of 10000 bits is not between 0o0 and 0o777"),
    ("c.umask = '8'", 'umask: "8" is not a umask such as 0o022'),
    ("c.umask = '77777'", 'umask: "77777" is not a umask such as 0o022'),
    ("c.umask = True", "umask: expected a number such as 0o022, not True"),
    ("c.oom_score_adj = 1001", "oom_score_adj: 1001 is not between -1000 and 1000"),
    ("c.oom_score_adj = '5'", 'oom_score_adj: expected a number from -1000 to 1000, not "5"'),
    ("c.personality = 'linux31'", 'personality: "linux31" is not one of linux linux64 x86_64 amd64 aarch64 arm64 linux32 x86 i386 i486 i586 i686 arm armel armhf armv7l armv8l; did you mean "linux32"?'),
    ("c.landlock.allow_read()", "landlock.allow_read: names no path"),
    ("c.landlock.allow_write('tmp')", 'landlock.allow_write: "tmp" is relative: give the path as seen inside the container'),
    ("c.landlock.allow_execute('/a/../b')", 'landlock.allow_execute: "/a/../b" has ".." in it'),
    ("c.landlock.allow_bind()", "landlock.allow_bind: names no port"),
    ("c.landlock.allow_connect(65536)", "landlock.allow_connect: 65536 is not between 0 and 65535"),
    ("c.landlock.allow_connect('http')", 'landlock.allow_connect: expected a port, not "http"'),
    ("c.landlock = {}", "landlock: is a section and cannot be assigned; set what is in it"),
    ("c.sysctl['kernel.core_pattern'] = 'x'", 'sysctl: "kernel.core_pattern" belongs to the whole host; a container has net.*, fs.mqueue.*, kernel.shm*, kernel.msg*, sem'),
    ("c.sysctl['kernel.hostname'] = 'x'", 'sysctl: "kernel.hostname" is a setting of its own; set hostname'),
    ("c.sysctl['net..x'] = 1", 'sysctl: "net..x" is not the name of a kernel parameter such as net.ipv4.ip_forward'),
    ("c.sysctl['net/ipv4/../../kernel/x'] = 1", 'sysctl: "net.ipv4.//.//.kernel.x" is not the name of a kernel parameter such as net.ipv4.ip_forward'),
    ("c.sysctl[7] = 1", "sysctl: expected the name of a kernel parameter, not 7"),
    ("c.sysctl['net.ipv4.ip_forward'] = '1\\n2'", 'sysctl: "1\\x0a2" has a control character'),
    ("c.sysctl['net.ipv4.ip_forward'] = True", "sysctl: expected text or a number, not True"),
    ("c.sysctl['net.ipv4.ip_forward'] = ''", "sysctl: expected text or a number, not an empty string"),
    ("c.sysctl['net.ipv4.ip_forward'] = 1", 'sysctl: "net.ipv4.ip_forward" needs the net namespace; add namespace.unshare("net")'),
    ("c.sysctl['kernel.sem'] = 1", 'sysctl: "kernel.sem" needs the ipc namespace; add namespace.unshare("ipc")'),
    ("c.apparmor = 'a'; c.selinux_context = 'a:b:c'", "selinux_context: the program has an AppArmor profile already"),
    ("c.capabilities.allow('NET_ADMIN')", 'capabilities.allow: "net_admin" would rule the host\'s own network; add namespace.unshare("net"), or pass host_network=True if that is meant'),
    ("c.capabilities.allow('chown', host_network=1)", "capabilities.allow: expected True or False, not 1"),
    ("c.resource.set_limit('NOFILE', 5, 4)", "resource.set_limit: the soft limit of NOFILE is above the hard one"),
    ("c.resource.set_limit('NOFILE', 'unlimited', 4)", "resource.set_limit: the soft limit of NOFILE is above the hard one"),
    ("c.resource.set_limit('NOFILES', 5)", 'resource.set_limit: unknown limit "NOFILES"; did you mean "NOFILE"?'),
    ("c.resource.set_limit('NOFILE', 'infinity')", 'resource.set_limit: expected a number or "unlimited", not "infinity"'),
    ("c.resource.set_limit('NOFILE', -1)", "resource.set_limit: -1 is not between 0 and 9223372036854775807"),
    ("c.resource.set_limit('NOFILE', float('inf'))", 'resource.set_limit: expected a number or "unlimited", not a value of type float'),
    ("c.capabilities.allow()", "capabilities.allow: names no capability"),
    ("c.capabilities.allow('cap_foo')", 'capabilities.allow: unknown capability "foo"'),
    ("c.capabilities.allow('sys_admim')", 'capabilities.allow: unknown capability "sys_admim"; did you mean "sys_admin"?'),
    ("c.capabilities.drop(41)", "capabilities.drop: expected a capability, not 41"),
    ("c.capabilities.ambient('all')", 'capabilities.ambient: "all" cannot be ambient; name the capabilities'),
    # streams
    ("c.command.set_stdout()", "command.set_stdout: takes file= (inside the container) or host_file="),
    ("c.command.set_stdin(file='/a', host_file='/b')", "command.set_stdin: takes file= (inside the container) or host_file="),
    ("c.command.set_stderr(file='a')", 'command.set_stderr: "a" is relative: give the path as seen inside the container'),
    # root file system
    ("c.bootstrap.strategy = 'docker'", 'bootstrap.strategy: "docker" is not a bootstrap strategy'),
    ("c.bootstrap.strategy = 'mruby'", 'bootstrap.strategy: "mruby" is not a bootstrap strategy; write "python" and give b.code Python, or a function'),
    ("c.bootstrap.strategy = 'debotstrap'", 'bootstrap.strategy: "debotstrap" is not a bootstrap strategy; did you mean "debootstrap"?'),
    ("c.bootstrap.os_type = '--help'", 'bootstrap.os_type: "--help" begins with "-"'),
    ("c.bootstrap.git_url = 'ext::id'", 'bootstrap.git_url: "ext::id" names a helper program; use a url or a path'),
    ("c.bootstrap.git_url = 'ftp://h/x'", 'bootstrap.git_url: "ftp://h/x" is not allowed; use file, git, http, https, ssh, or a path'),
    ("c.bootstrap.git_options = ['--depth']", 'bootstrap.git_options: "--depth" needs a value'),
    ("c.bootstrap.git_url = '--upload-pack=x:y'", 'bootstrap.git_url: "--upload-pack=x:y" begins with "-"'),
    ("c.bootstrap.code = ' '", "bootstrap.code: is empty"),
    ("c.bootstrap.tool = 'x'", 'bootstrap.tool: "x" is not "debootstrap" or "mmdebstrap"'),
    ("c.bootstrap.git_depth = 0", "bootstrap.git_depth: 0 is not between 1 and 2147483647"),
    ("c.bootstrap.git_branch = '-x'", 'bootstrap.git_branch: "-x" begins with "-"'),
    ("c.bootstrap.archive_path = 'ftp://h/x'", 'bootstrap.archive_path: "ftp://h/x" is neither a path nor a url of http, https or file'),
    ("c.bootstrap.sha256 = 'abc'", 'bootstrap.sha256: "abc" is not a SHA-256 in hexadecimal'),
    ("c.bootstrap.max_size = '1GB'", 'bootstrap.max_size: expected a number of bytes, or text such as 512M, not "1GB"'),
    ("c.bootstrap.max_size = '-1'", 'bootstrap.max_size: expected a number of bytes, or text such as 512M, not "-1"'),
    ("c.bootstrap.max_size = 0", f"bootstrap.max_size: 0 is not between 1 and {2**63 - 1}"),
    ("c.bootstrap.max_size = '9' * 19 + 'T'", f"bootstrap.max_size: {int('9' * 19) << 40} is not between 1 and {2**63 - 1}"),
    ("c.bootstrap.timeout_sec = 0", "bootstrap.timeout_sec: 0 is not between 1 and 10000000"),
    ("c.bootstrap.tls_verify = 1", "bootstrap.tls_verify: expected True or False, not 1"),
    ("c.bootstrap.image = 'debian:12'", 'bootstrap.image: "debian:12" is not an image: docker://HOST/NAME:TAG, oci:DIRECTORY:TAG, docker-archive:FILE'),
    ("c.bootstrap.image = 'docker://'", 'bootstrap.image: "docker://" is not an image: docker://HOST/NAME:TAG, oci:DIRECTORY:TAG, docker-archive:FILE'),
    ("c.bootstrap.code = 7", "bootstrap.code: expected code (text) or a function, not 7"),
    ("c.bootstrap.code = lambda: 0", 'bootstrap.code: "<lambda>" is called with one argument, which it does not take'),
    ("c.bootstrap.code = 'a\\0'", "bootstrap.code: has a NUL character"),
    ("c.bootstrap.template_options = '-r 3'", 'bootstrap.template_options: expected a list of text, not "-r 3"'),
    ("c.bootstrap.postprocess('perl', 'x')", 'bootstrap.postprocess: "perl" is not "shell" or "python"'),
    ("c.bootstrap.postprocess('shell', print)", "bootstrap.postprocess: expected a script (text), not a value of type builtin_function_or_method"),
    ("c.provision.run_shell('')", "provision.run_shell: is empty"),
    ("c.provision.run_shell('x', name='a,b')", f'provision.run_shell: "a,b" {NAME}'),
    ("c.provision.run_shell('x', sh='bash')", 'provision.run_shell: "bash" is relative: give the path as seen inside the container'),
    ("c.provision.run_python(lambda base: 0)", 'provision.run_python: "<lambda>" is called with no argument, which it does not take'),
    ("c.provision.run_shell('x', run='never')", 'provision.run_shell: "never" is not "always", "once" or "changed"'),
    ("c.provision.copy('x', to='srv')", 'provision.copy: "srv" is relative: give the path as seen inside the container'),
    ("c.provision.copy(1, to='/srv')", "provision.copy: expected a path, not 1"),
    ("c.provision.share_cache('pip')", 'provision.share_cache: "pip" is not one of apt apk dnf'),
    ("c.provision.environ = {'A=': 'b'}", 'provision.environ: "A=" has "=" in it'),
    ("c.provision.run_python('x')", 'provision.run_python: expected a function, not "x"'),
    ("c.validate_real_id(lambda uid: True)", 'validate_real_id: "<lambda>" is called with 2 arguments, which it does not take'),
    # health
    ("c.healthcheck(lambda base: True, port=80)", "healthcheck: a function and port= are given, and the function would never be called; leave one out"),
    ("c.healthcheck(exec=['/bin/true'])(print)", "healthcheck: a function and exec= are given, and the function would never be called; leave one out"),
    ("c.healthcheck(port=80, file='/x')", "healthcheck: port and file are given; it looks at one thing; leave one out"),
]  # fmt: skip


def test_all_that_is_wrong_with_one_value_is_said(refused: Refused) -> None:
    assert refused("c.groups = [-1, 5, 'a b']; c.environ = {'': 'x', 'A': 'y', 'B=': 1}") == [
        "test.haco:3: groups: -1 is not between 0 and 4294967294",
        'test.haco:3: groups: "a b" is not a name or a number up to 4294967294',
        "test.haco:3: environ: expected the name of a variable, not an empty string",
        'test.haco:3: environ: "B=" has "=" in it',
    ]


@pytest.mark.parametrize(("line", "expected"), VALUES, ids=[line for line, _ in VALUES])
def test_a_bad_value_is_recorded_with_its_line(refused: Refused, line: str, expected: str) -> None:
    assert refused(line) == [f"test.haco:3: {expected}"]


def test_a_refused_value_changes_nothing(refused: Refused) -> None:
    found = refused("c.uid = 5\nc.uid = -1\nassert c.uid == 5\nc.environ['A'] = 'b'\nc.environ = 3\nassert c.environ\n")
    assert len(found) == 2


def test_every_bad_value_is_told_even_when_a_good_one_follows(refused: Refused) -> None:
    assert refused("c.uid = -1\nc.uid = 1") == ["test.haco:3: uid: -1 is not between 0 and 4294967294"]


CROSS = [
    ("c.hostname = 'web'", 'hostname: needs a uts namespace; add namespace.unshare("uts")'),
    ("c.domainname = 'web'", 'domainname: needs a uts namespace; add namespace.unshare("uts")'),
    ("c.rootfs.readonly = True", "rootfs.readonly: does nothing without a root file system; call chroot_to(…)"),
    ("c.rootfs_owner(uid=0, gid=0)", "rootfs_owner: does nothing without a root file system; call chroot_to(…)"),
    ("c.filesystem.add_masked_path('/proc/x')", "filesystem.add_masked_path: does nothing without a root file system; call chroot_to(…)"),
    ("c.filesystem.masked_paths.append('/proc/x')", "filesystem.masked_paths: does nothing without a root file system; call chroot_to(…)"),
    ("c.bootstrap.strategy = 'host'", "bootstrap.strategy: does nothing without a root file system; call chroot_to(…)"),
    ("c.provision.run_shell('x')", "provision.run_shell: does nothing without a root file system; call chroot_to(…)"),
    ("c.chroot_to('/r'); c.bootstrap.strategy = 'tarball'; c.bootstrap.archive_path = 'http://h/x.tar'", "bootstrap.sha256: an archive by http needs it; or use https"),
    ("c.chroot_to('/r'); c.bootstrap.os_type = 'x'", "bootstrap.strategy: is not set; one of lxc debootstrap git tarball oci shell python host"),
    ("c.chroot_to('/r'); c.bootstrap.strategy = 'lxc'", 'bootstrap.os_type: the strategy "lxc" needs it'),
    ("c.chroot_to('/r'); c.bootstrap.strategy = 'host'; c.bootstrap.os_type = 'x'", 'bootstrap.os_type: is no attribute of the strategy "host"'),
    ("c.chroot_to('/r'); c.bootstrap.strategy = 'shell'; c.bootstrap.code = print", 'bootstrap.code: the strategy "shell" takes a script; a function needs "python"'),
    ("c.chroot_to('/r'); p = c.provision; p.run_shell('x', 'a'); p.run_shell('y', 'a')", 'provision: two steps are called "a"'),
    ("c.chroot_to('/r'); c.add_mount_point('/x', to='/r')", "add_mount_point: would cover the container's root"),
    ("c.add_mount_point('/x', to='/')", "add_mount_point: would cover the container's root"),
    ("c.add_mount_point('/x', to='/a'); c.add_mount_point('/y', to='/a/')", 'add_mount_point: something is mounted on "/a" already; see test.haco:3'),
    ("c.mount_independent('procfs'); c.add_mount_point('/y', to='/proc')", 'add_mount_point: something is mounted on "/proc" already; see test.haco:3'),
    ("c.add_mount_point('/r/', to='/x'); c.chroot_to('/r')", 'add_mount_point: shows the root in itself, on "/x"'),
    ("c.add_mount_point('/x', to='/a', options='suid,nosuid')", 'add_mount_point: the options "nosuid" and "suid" contradict'),
    ("c.add_mount_point('/x', to='/a', options='noatime,relatime')", 'add_mount_point: the options "noatime" and "relatime" contradict'),
    ("c.add_mount_point('/x', to='/a', options='shared,rslave')", 'add_mount_point: the options "shared" and "rslave" contradict'),
    ("c.add_mount_point('/x', to='/a', options='idmap')", 'add_mount_point: the option "idmap" needs a user namespace'),
    ("c.add_mount_point('/x', to='/a', options='rw', readonly=True)", 'add_mount_point: the options "ro" and "rw" contradict'),
    ("c.namespace.enter('net', '/x'); c.namespace.unshare('net')", 'namespace.enter("net"): the container makes one of its own'),
    ("c.namespace.map_ids([(i, i, 1) for i in range(341)], gids=[(0, 0, 1)])", "namespace.set_uid_mapping: more than 340 lines"),
    ("c.namespace.map_ids('auto'); c.namespace.set_uid_mapping(min=0, max=1, offset=1)", 'namespace.set_uid_mapping: the ids are mapped by map_ids("auto") already'),
    ("c.namespace.map_ids('auto', size=1000); c.uid = 1000", "uid: 1000 is not mapped in the user namespace"),
    ("c.namespace.enter('mount', '/x'); c.chroot_to('/r')", 'namespace.enter("mount"): the container makes one of its own; its root and mounts need one'),
    ("c.namespace.unshare('user'); c.namespace.set_uid_mapping(min=0, max=1, offset=0)", "namespace.set_gid_mapping: a user namespace needs it"),
    ("c.namespace.set_gid_mapping(min=0, max=1, offset=0)", "namespace.set_uid_mapping: a user namespace needs it"),
    ("c.capabilities.ambient('sys_admin')", 'capabilities.ambient: "sys_admin" is not allowed; add capabilities.allow("sys_admin")'),
    ("c.capabilities.ambient('chown'); c.capabilities.drop('chown')", 'capabilities.ambient: "chown" is not allowed; add capabilities.allow("chown")'),
]  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), CROSS, ids=[line for line, _ in CROSS])
def test_settings_that_do_not_fit_together(refused: Refused, line: str, expected: str) -> None:
    assert refused(line) == [f"test.haco:3: {expected}"]


MAPS = (
    "ns = c.namespace; ns.set_uid_mapping(min=0, max=10, offset=100); ns.set_gid_mapping(min=0, max=10, offset=100)\n"
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ns.set_uid_mapping(min=9, max=1, offset=500)", "namespace.set_uid_mapping: ids inside overlap"),
        ("ns.set_gid_mapping(min=50, max=1, offset=109)", "namespace.set_gid_mapping: ids on the host overlap"),
        ("c.uid = 10", "uid: 10 is not mapped in the user namespace"),
        ("c.gid = 10", "gid: 10 is not mapped in the user namespace"),
        ("c.groups = [3, 10]", "groups: 10 is not mapped in the user namespace"),
        (
            "for i in range(340): ns.set_uid_mapping(min=20 + i, max=1, offset=200 + i)",
            "namespace.set_uid_mapping: more than 340 lines",
        ),
    ],
)
def test_id_maps(refused: Refused, line: str, expected: str) -> None:
    assert refused(MAPS + line) == [f"test.haco:4: {expected}"]


@pytest.mark.parametrize("kind", ["uid", "gid"])
def test_the_root_of_a_user_namespace_must_be_mapped(refused: Refused, kind: str) -> None:
    other = "gid" if kind == "uid" else "uid"
    line = f"c.namespace.set_{kind}_mapping(min=1, max=9, offset=1); c.namespace.set_{other}_mapping(min=0, max=9, offset=1)"
    hint = "the container is made by its root: min=0"
    assert refused(f"{line}; c.uid = 1; c.gid = 1") == [
        f"test.haco:3: namespace.set_{kind}_mapping: the id 0 inside is not mapped; {hint}"
    ]


def test_what_follows_from_a_refused_value_is_not_told(refused: Refused) -> None:
    assert refused("c.chroot_to('/r'); b = c.bootstrap; b.strategy = 'hots'; b.paths = ['/usr']") == [
        'test.haco:3: bootstrap.strategy: "hots" is not a bootstrap strategy; did you mean "host"?'
    ]


def test_a_path_below_the_root_that_leaves_it_stops_the_load(refused: Refused) -> None:
    assert refused("root = c.chroot_to('/r')\nroot / '../x'\nc.uid = -1") == [
        'test.haco:4: path below the root: "/../x" has ".." in it',
        'the load of "test.haco" stopped at line 4; the lines after it were not looked at',
    ]


def test_ten_thousand_mounts(refused: Refused) -> None:
    lines = "for i in range(10_000):\n    c.add_mount_point('/srv', to=f'/data/{i}')\nc.uid = -1"
    assert refused(lines) == ["test.haco:5: uid: -1 is not between 0 and 4294967294"]
