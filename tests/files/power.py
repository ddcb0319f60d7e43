"""What a disk may hold after its power was cut

The rules are POSIX's, which are the weakest of all file systems' in use. `fsync` of a file keeps
its content up to now, `fsync` of a folder the names in it; neither keeps the other. What was not
flushed may be there or not, whatever came after it: each name by itself, and each write by itself,
also in part. One thing is granted: a rename is there wholly or not at all."""
import hashlib, os, pickle, random, shutil, subprocess, sys, time
from contextlib import contextmanager
from pathlib import Path
import pytest

HERE = Path(__file__).resolve().parent

@contextmanager
def forgetful(folder):
    "A file system that forgets: its root, for the block; afterwards `folder/journal` is complete"
    pytest.importorskip('mfusepy', reason="needs mfusepy and libfuse 3", exc_type=Exception)
    if not os.access('/dev/fuse', os.W_OK):
        pytest.skip('needs FUSE')
    root,journal = folder/'disk',folder/'journal'
    root.mkdir(parents=True)
    code = [sys.executable, HERE/'forgetful.py', root, journal]
    process = subprocess.Popen(code, stderr=open(folder/'said', 'wb'))
    end = time.monotonic()+20
    while not os.path.ismount(root):
        assert process.poll() is None and time.monotonic()<end, (folder/'said').read_text()
        time.sleep(0.02)
    try:
        yield root
    finally:
        tool = shutil.which('fusermount3')
        subprocess.run([tool, '-u', root] if tool else ['umount', root], check=True)
        process.wait(20)

def mark(root, text):
    "Say into the journal that something was reported as done"
    assert not os.path.exists(root/f".mark {text.replace('/', '|')}")

def read_journal(folder):
    with open(folder/'journal', 'rb') as f:
        while True:
            try:
                yield pickle.load(f)
            except EOFError:
                return

class Disk:
    "What is safe, and what is not yet, after some entries of a journal"
    def __init__(self):
        self.names,self.data,self.folders = {1: {}},{},{1}
        self.pending_names = []  # [((folder, name, number or None), ...)]: each wholly or not
        self.pending_data = {}   # number -> [(offset, bytes) or length]
        self.now = {1: {}}       # names as the program sees them
        self.marks = []
        self.known = {}          # number -> {fate: content}, until it changes
    def _name(self, *changes):
        self.pending_names.append(changes)
        for folder,name,n in changes:
            if n is None:
                self.now[folder].pop(name, None)
            else:
                self.now[folder][name] = n
    def apply(self, kind, *o):
        "The next entry"
        if kind in ('write', 'truncate', 'fsync'):
            self.known.pop(o[0], None)
        if kind in ('create', 'mkdir', 'link'):
            if kind=='mkdir':
                self.folders.add(o[2])
                self.now[o[2]],self.names[o[2]] = {},{}
            elif kind=='create':
                self.data[o[2]],self.pending_data[o[2]] = b'',[]
            self._name(o)
        elif kind=='unlink':
            self._name((*o, None))
        elif kind=='rename':
            self._name((*o[:2], None), (*o[2:], self.now[o[0]][o[1]]))
        elif kind=='write':
            self.pending_data[o[0]].append(o[1:])
        elif kind=='truncate':
            self.pending_data[o[0]].append(o[1])
        elif kind=='fsync':
            self._flush(o[0])
        elif kind=='mark':
            self.marks.append(o[0].replace('|', '/'))
    def _flush(self, n):
        if n not in self.folders:
            self.data[n],self.pending_data[n] = _written(self.data[n], self.pending_data[n]),[]
            return
        left = []
        for changes in self.pending_names:
            if any(folder==n for folder,_,_ in changes):
                _renamed(self.names, changes)
            else:
                left.append(changes)
        self.pending_names = left

def _renamed(names, changes):
    for folder,name,n in changes:
        if n is None:
            names[folder].pop(name, None)
        else:
            names[folder][name] = n

def _written(data, changes):
    if not changes:
        return data
    out = bytearray(data)
    for o in changes:
        if isinstance(o, int):
            del out[o:]
            out.extend(bytes(o-len(out)))
        else:
            offset,new = o
            out.extend(bytes(max(0, offset-len(out))))
            out[offset:offset+len(new)] = new
    return bytes(out)

# What becomes of that which was not flushed. `names(i)`: is the i-th change of names there?
# `data(changes)`: those of a file's changes that are there
def _zeros(changes):
    "As long as it should be, and empty: space was given out, nothing was written into it"
    return [o if isinstance(o, int) else (o[0], bytes(len(o[1]))) for o in changes]

def _some(draw):
    def data(changes):
        out = []
        for o in changes:
            if draw.random()<0.5:
                continue
            if not isinstance(o, int) and draw.random()<0.5: # in part
                begin,end = sorted(draw.randrange(len(o[1])+1) for _ in range(2))
                o = o[0]+begin,o[1][begin:end]
            out.append(o)
        return out
    return data

def _none(changes): return []
def _all(changes): return changes

FATES = dict(
    nothing=(lambda i: False, _none),
    names=(lambda i: True, _none),
    contents=(lambda i: False, _all),
    zeros=(lambda i: True, _zeros),
    all=(lambda i: True, _all))

def _content(disk, n, data):
    "Of a file"
    if data not in (_none, _all, _zeros):
        return _written(disk.data[n], data(disk.pending_data[n]))
    known = disk.known.setdefault(n, {})
    if data not in known:
        known[data] = _written(disk.data[n], data(disk.pending_data[n]))
    return known[data]

def tree(disk, names, data):
    "Path -> content of files, None for folders, as the disk is found afterwards"
    entries = {k: dict(v) for k,v in disk.names.items()}
    for i,changes in enumerate(disk.pending_names):
        if names(i):
            _renamed(entries, changes)
    out,todo = {},[(1, '')]
    while todo:
        n,path = todo.pop()
        for name,k in entries[n].items():
            if k in disk.folders:
                out[path+name] = None
                todo.append((k, f'{path}{name}/'))
            else:
                out[path+name] = _content(disk, k, data)
    return out

class _Digests:
    "Hashes of contents, each computed once"
    def __init__(self): self.known = {}
    def __call__(self, data):
        if id(data) not in self.known: # kept with it, or another might get its number
            self.known[id(data)] = data,hashlib.sha256(data or b'').digest()
        return self.known[id(data)][1]

def _moments(journal):
    "(number, entry) after which to look: of several writes in a row to one file after the last"
    entries = list(journal)
    for i,entry in enumerate(entries):
        following = entries[i+1][:2] if i+1<len(entries) else None
        yield i,entry,not (entry[0]=='write' and entry[:2]==following)

def disks(folder, random_fates=0, seed=0):
    "(marks, tree, what happened) of everything that a power cut may leave; each of them once"
    disk,seen,draw,digest = Disk(),set(),random.Random(seed),_Digests()
    for i,entry,look in _moments(read_journal(folder)):
        disk.apply(*entry)
        fates = list(FATES.items()) if look else []
        for k in range(random_fates if look else 0):
            p = draw.random()
            fates.append((f'random {k}', (lambda i, p=p: draw.random()<p, _some(draw))))
        for name,fate in fates:
            files = tree(disk, *fate)
            key = len(disk.marks),frozenset((k, v is None, digest(v)) for k,v in files.items())
            if key not in seen:
                seen.add(key)
                yield list(disk.marks),files,f'after entry {i} {entry[:3]}, {name}'

def unpack(files, folder):
    "Write a tree to a real disk"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for path in sorted(files):
        if files[path] is None:
            (folder/path).mkdir()
        else:
            (folder/path).write_bytes(files[path])
    return folder
