"""A file system in memory that writes down every change and every flush

`python forgetful.py MOUNTPOINT JOURNAL` serves it through FUSE. `power.py` reads the journal, and
knows what a disk may hold that lost its power after any of the entries.

A look for a name that begins with `.mark ` is written down as a mark: that is how a program under
test says what it has reported as done."""
import errno, os, pickle, stat, sys, time
from mfusepy import FUSE, FuseOSError, Operations

class Node:
    def __init__(self, mode):
        self.mode,self.links,self.times = mode,1,[time.time_ns()]*2
        self.data = {} if stat.S_ISDIR(mode) else bytearray()

class Forgetful(Operations):
    use_ns = True
    def __init__(self, journal):
        self.journal = open(journal, 'wb', buffering=0)
        self.nodes = {1: Node(stat.S_IFDIR|0o755)}
        self.last = 1
    def note(self, *entry):
        self.journal.write(pickle.dumps(entry))
    def find(self, path, fh=None):
        "Number of a file or folder"
        if fh:
            return fh
        n = 1
        for name in [o for o in path.split('/') if o]:
            data = self.nodes[n].data
            if not isinstance(data, dict) or name not in data:
                raise FuseOSError(errno.ENOENT)
            n = data[name]
        return n
    def parent(self, path):
        "(number of the folder, name in it)"
        folder,_,name = path.rpartition('/')
        return self.find(folder),name
    def add(self, path, mode, kind):
        folder,name = self.parent(path)
        self.last += 1
        self.nodes[self.last] = Node(mode)
        self.nodes[folder].data[name] = self.last
        self.note(kind, folder, name, self.last)
        return self.last

    # ---- names ----
    def create(self, path, mode, fi=None):
        return self.add(path, stat.S_IFREG|stat.S_IMODE(mode), 'create')
    def mkdir(self, path, mode):
        self.add(path, stat.S_IFDIR|stat.S_IMODE(mode), 'mkdir')
    def link(self, target, source):
        n,(folder,name) = self.find(source),self.parent(target)
        if name in self.nodes[folder].data:
            raise FuseOSError(errno.EEXIST)
        self.nodes[folder].data[name] = n
        self.nodes[n].links += 1
        self.note('link', folder, name, n)
    def unlink(self, path):
        folder,name = self.parent(path)
        n = self.nodes[folder].data.pop(name)
        self.nodes[n].links -= 1
        self.note('unlink', folder, name)
    def rmdir(self, path):
        if self.nodes[self.find(path)].data:
            raise FuseOSError(errno.ENOTEMPTY)
        folder,name = self.parent(path)
        del self.nodes[folder].data[name]
        self.note('unlink', folder, name)
    def rename(self, old, new, flags=0):
        (a,x),(b,y) = self.parent(old),self.parent(new)
        there = self.nodes[b].data.get(y)
        if there and isinstance(self.nodes[there].data, dict) and self.nodes[there].data:
            raise FuseOSError(errno.ENOTEMPTY)
        self.nodes[b].data[y] = self.nodes[a].data.pop(x)
        self.note('rename', a, x, b, y)

    # ---- contents ----
    def open(self, path, flags):
        n = self.find(path)
        if flags&os.O_TRUNC:
            self.truncate(path, 0, n)
        return n
    def read(self, path, size, offset, fh):
        return bytes(self.nodes[self.find(path, fh)].data[offset:offset+size])
    def write(self, path, data, offset, fh):
        n = self.find(path, fh)
        o = self.nodes[n]
        o.data.extend(bytes(max(0, offset-len(o.data))))
        o.data[offset:offset+len(data)] = data
        o.times[1] = time.time_ns()
        self.note('write', n, offset, bytes(data))
        return len(data)
    def truncate(self, path, length, fh=None):
        n = self.find(path, fh)
        o = self.nodes[n]
        del o.data[length:]
        o.data.extend(bytes(length-len(o.data)))
        self.note('truncate', n, length)

    # ---- flushes: `flush` is only the `close` of a file, and keeps nothing ----
    def fsync(self, path, datasync, fh):
        self.note('fsync', self.find(path, fh))
    def fsyncdir(self, path, datasync, fh):
        self.note('fsync', self.find(path))
    def flush(self, path, fh): return 0

    # ---- looking ----
    def getattr(self, path, fh=None):
        name = path.rpartition('/')[2]
        if name.startswith('.mark '):
            self.note('mark', name[6:])
            raise FuseOSError(errno.ENOENT)
        n = self.find(path, fh)
        o = self.nodes[n]
        return dict(st_mode=o.mode, st_nlink=o.links, st_size=len(o.data), st_ino=n,
            st_uid=os.getuid(), st_gid=os.getgid(), st_atime=o.times[0], st_mtime=o.times[1],
            st_ctime=o.times[1])
    def readdir(self, path, fh):
        return ['.', '..', *self.nodes[self.find(path)].data]
    def statfs(self, path):
        return dict(f_bsize=4096, f_frsize=4096, f_blocks=2**20, f_bfree=2**20, f_bavail=2**20,
            f_namemax=255)
    def chmod(self, path, mode, fh=None):
        o = self.nodes[self.find(path, fh)]
        o.mode = stat.S_IFMT(o.mode)|stat.S_IMODE(mode)
    def chown(self, *args): return 0
    def utimens(self, path, times=None, fh=None):
        self.nodes[self.find(path, fh)].times = list(times or [time.time_ns()]*2)

if __name__=='__main__':
    mountpoint,journal = sys.argv[1:]
    FUSE(Forgetful(journal), mountpoint, foreground=True, nothreads=True, use_ino=True,
        hard_remove=True, fsname='forgetful')
