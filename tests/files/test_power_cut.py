"""The power is cut after any system call: nothing that was reported as done is lost, and nothing
half-written is taken for whole

What the disk may hold then is worked out from a journal of everything that a program changed and
flushed, see `power.py`."""
import csv, errno, hashlib, io, json, os
from pathlib import Path
import pytest
from PIL import Image
from colorized import files
from colorized.batch.folder import colorize_folder
from colorized.batch.ledger import Report
from colorized.files import atomic_folder, write_bytes
from colorized.inference.colorizer import Colorizer
from power import disks, forgetful, mark, unpack

CAMPUS = Path(__file__).resolve().parents[2]/'nbs/images/campus-1910.jpg'

@pytest.fixture(autouse=True)
def nothing_known():
    "What this process knows of folders is of no other disk"
    files._lasting.clear()

@pytest.fixture(scope='module')
def colorizer(model): return Colorizer.from_pretrained(model, 'cpu')

def telling(monkeypatch, cls, method, root, say):
    "Have a method mark what `say` makes of its arguments, once it has returned"
    do = getattr(cls, method)
    def told(self, *args, **kwargs):
        out = do(self, *args, **kwargs)
        if text := say(self, *args):
            mark(root, text)
        return out
    monkeypatch.setattr(cls, method, told)

def contents(folder):
    "Path -> content of all files of a folder"
    paths = [o for o in folder.rglob('*') if o.is_file()]
    return {o.relative_to(folder).as_posix(): o.read_bytes() for o in paths}

def kept(files):
    "Those that nobody takes for leftovers or reports"
    names = lambda path: path.split('/')
    hidden = lambda path: any(o.startswith('.') for o in names(path))
    return {k: v for k,v in files.items() if v is not None and not hidden(k)
            and not names(k)[-1].startswith('report.')}

def sha256(data): return hashlib.sha256(data).hexdigest()

def told(marks, kind): return [o.partition(' ')[2] for o in marks if o.startswith(kind+' ')]

# ---- files and folders of their own ----
VERSIONS = [bytes([65+i])*(4000*i+1000) for i in range(3)]

def write_all(root):
    for i,data in enumerate(VERSIONS):
        write_bytes(root/'new/deep/a', data)
        mark(root, f'a {i}')
        write_bytes(root/f'new/b{i}', data, replace=False)
        mark(root, f'b {i}')
        with atomic_folder(root/'new/tree') as part:
            (part/'x').mkdir()
            (part/'x/c').write_bytes(data)
            (part/'d').write_bytes(data)
        mark(root, f'tree {i}')

def check_all(marks, found, what):
    least = lambda kind: max(map(int, told(marks, kind)), default=-1)
    if 'new/deep/a' in found or least('a')>=0:
        assert VERSIONS.index(found.get('new/deep/a'))>=least('a'), what
    for i in map(int, told(marks, 'b')):
        assert found[f'new/b{i}']==VERSIONS[i], what
    for i,data in enumerate(VERSIONS):
        assert found.get(f'new/b{i}', data)==data, what
    if 'new/tree' in found:
        both = found.get('new/tree/d'),found.get('new/tree/x/c')
        assert both[0]==both[1] and VERSIONS.index(both[0])>=least('tree'), what
    whole = {'tree', '.tree'} & {o.split('/')[1].split('.tmp')[0][:5] for o in found if '/' in o}
    assert least('tree')<0 or whole, what # between its two renames it has another name

def fails(folder, check=check_all, **kwargs):
    "Is there a power cut after which something is not as it should be? What, and of how many"
    found,n = [],0
    for marks,tree,what in disks(folder, **kwargs):
        n += 1
        try:
            check(marks, tree, what)
        except (AssertionError, KeyError, ValueError, TypeError):
            found.append(what)
    return found,n

def test_files_and_folders(tmp_path):
    with forgetful(tmp_path) as root:
        write_all(root)
    found,n = fails(tmp_path, random_fates=3)
    print(n, 'disks')
    assert not found and n>100, (found[:3], n)

@pytest.mark.parametrize('forgotten', ['files', 'folders', 'folders above'])
def test_would_notice(tmp_path, monkeypatch, forgotten):
    "Without one of the flushes, some power cut does harm"
    flush = os.fsync
    is_folder = lambda fd: os.path.isdir(f'/proc/self/fd/{fd}')
    if forgotten=='folders above':
        monkeypatch.setattr(files, '_keep_folder', lambda path: None)
    else:
        forget = lambda fd: is_folder(fd)==(forgotten=='folders')
        monkeypatch.setattr(os, 'fsync', lambda fd: None if forget(fd) else flush(fd))
    with forgetful(tmp_path) as root:
        write_all(root)
    found,_ = fails(tmp_path)
    assert found

def test_a_flush_that_fails_is_an_error(tmp_path, monkeypatch):
    "Nothing counts as written that the disk could not keep; a folder that cannot be flushed may"
    flush = os.fsync
    def refuse(number, of_folders):
        def fsync(fd):
            if os.path.isdir(f'/proc/self/fd/{fd}')==of_folders:
                raise OSError(number, os.strerror(number))
            flush(fd)
        return fsync
    for number,of_folders in (errno.EIO, False), (errno.EIO, True), (errno.ENOSPC, True):
        monkeypatch.setattr(os, 'fsync', refuse(number, of_folders))
        with pytest.raises(OSError) as e:
            write_bytes(tmp_path/'a', b'1')
        assert e.value.errno==number and not list(tmp_path.glob('.*'))
    monkeypatch.setattr(os, 'fsync', refuse(errno.EINVAL, True))
    write_bytes(tmp_path/'b', b'1')

def test_macos_is_asked_for_more(tmp_path, monkeypatch):
    "Its fsync stops at the disk's cache; where the stronger call is refused, fsync has to do"
    asked,flush = [],os.fsync
    class Fcntl:
        F_FULLFSYNC = 51
        def fcntl(self, fd, what):
            asked.append(what)
            if len(asked)>2:
                raise OSError(errno.ENOTSUP, 'no')
    monkeypatch.setattr(files, 'fcntl', Fcntl())
    monkeypatch.setattr(os, 'fsync', lambda fd: asked.append('fsync') or flush(fd))
    write_bytes(tmp_path/'a', b'1')
    assert asked==[51, 51, 51, 'fsync'] # file, folder, the folder above

# ---- a folder of photographs ----
def photographs(folder, n=3):
    im = Image.open(CAMPUS).convert('L')
    (folder/'sub').mkdir(parents=True)
    for i in range(n):
        part = im.crop((40*i, 200, 40*i+160, 320)).resize((80, 60))
        part.save(folder/('sub/' if i==n-1 else '')/f'{i}.{"tif" if i==1 else "jpg"}')
    return folder

def color(src, out, colorizer):
    return colorize_folder(src, out, colorizer, steps=1, workers=0, progress=False)

def facts(report):
    "What a report says, but for times"
    rows = [json.loads(o) for o in report.splitlines()]
    times = 'seconds','finished'
    return {o['path']: {k: v for k,v in o.items() if k not in times} for o in rows}

@pytest.fixture
def folder_run(tmp_path, monkeypatch, colorizer):
    "(journal of a run, its originals, what it made on a disk that forgets nothing)"
    src = photographs(tmp_path/'in')
    color(src, tmp_path/'whole', colorizer)
    with forgetful(tmp_path) as root, monkeypatch.context() as m:
        telling(m, Report, 'add', root, lambda self, row: f"row {row['output']}")
        color(src, root/'out', colorizer)
        mark(root, 'end')
    return tmp_path,src,contents(tmp_path/'whole')

def check_folder(marks, found, whole):
    found = {k.removeprefix('out/'): v for k,v in found.items() if k.startswith('out/')}
    mine,ref = kept(found),kept(whole)
    assert mine.items()<=ref.items() # what has a name is whole
    assert set(told(marks, 'row'))<=mine.keys()
    if 'end' in marks:
        assert facts(found['report.jsonl'])==facts(whole['report.jsonl'])
        table = csv.DictReader(io.StringIO(found['report.csv'].decode('utf-8-sig')))
        assert {o['output'] for o in table}==ref.keys()

def test_a_folder(folder_run):
    folder,_,whole = folder_run
    n = 0
    for marks,found,what in disks(folder, random_fates=1):
        check_folder(marks, found, whole)
        n += 1
    print(n, 'disks')
    assert n>100

@pytest.mark.slow
def test_a_folder_goes_on(folder_run, tmp_path, colorizer):
    "From each of these disks the same command ends with the same bytes, and makes nothing twice"
    folder,src,whole = folder_run
    for n,(marks,found,what) in enumerate(disks(folder, random_fates=2), 1):
        check_folder(marks, found, whole)
        out = unpack(found, tmp_path/'found')/'out'
        for o in out.rglob('.*.claim'): # its process is dead, and the computer was off for a while
            o.write_bytes(o.read_bytes().replace(b'"pid": ', b'"pid": 9'))
            os.utime(o, (0, 0))
        done = len({o for o in told(marks, 'row')})
        summary = color(src, out, colorizer)
        assert summary.failed==0 and summary.done<=3-done, what
        assert kept(contents(out))==kept(whole), what
        assert not list(out.rglob('.*.claim')), what
    print(n, 'disks')

# ---- a fleet's record ----
def test_a_record(tmp_path):
    "Whatever the record calls made is in the store, and a shard is whole or not there"
    from colorized.fleet.record import Record, read_record
    from colorized.fleet.store import Store
    with forgetful(tmp_path) as root:
        store = Store(root/'out')
        record = Record(store, every=1e9)
        for i,data in enumerate(VERSIONS):
            store.put(f'sub/{i}.jpg', data)
            record.add(dict(path=f'{i}', output=f'sub/{i}.jpg', output_sha256=sha256(data)))
            assert record.flush()
            mark(root, f'row {i}')
    n = 0
    for marks,found,what in disks(tmp_path, random_fates=1):
        out = unpack(found, tmp_path/'found')/'out'
        rows = read_record(out).to_pylist()
        assert set(told(marks, 'row'))<={o['path'] for o in rows}, what
        for o in rows:
            assert sha256((out/o['output']).read_bytes())==o['output_sha256'], what
        n += 1
    print(n, 'disks')
    assert n>40

# ---- an album ----
def publish(museum, out, colorizer):
    from colorized.iiif.publish import colorize_manifest
    return colorize_manifest(f'{museum.url}/album.json', out, colorizer, steps=1, tiles=True,
                             rate=1e6, progress=False)

def test_an_album(tmp_path, monkeypatch, colorizer):
    "A manifest offers what is there, its tiles included"
    pytest.importorskip('requests')
    from museum import Museum, files_album
    (tmp_path/'museum').mkdir()
    museum = Museum(tmp_path/'museum')
    files_album(museum, 2)
    publish(museum, tmp_path/'whole', colorizer)
    with forgetful(tmp_path) as root, monkeypatch.context() as m:
        telling(m, Report, 'add', root, lambda self, row: f"row {row['output']}")
        assert publish(museum, root/'out', colorizer).exit_code==0
        mark(root, 'end')
    museum.shutdown()
    whole,n = kept(contents(tmp_path/'whole')),0
    for marks,found,what in disks(tmp_path, random_fates=1):
        mine = {k.removeprefix('out/'): v for k,v in found.items() if k.startswith('out/')}
        mine = kept(mine)
        assert mine.items()<=whole.items() and set(told(marks, 'row'))<=mine.keys(), what
        for tree in {o.split('/')[1] for o in mine if o.startswith('tiles/')}:
            part = lambda o: {k for k in o if k.startswith(f'tiles/{tree}/')}
            assert part(mine)==part(whole), what
        if 'end' in marks or 'manifest.json' in mine:
            assert mine==whole, what
        n += 1
    print(n, 'disks')
    assert n>100

# ---- training ----
def test_a_training_run(tmp_path, monkeypatch):
    "The state to go on from is there from the first time it was saved, and never half of it"
    pytest.importorskip('fastai')
    from colorized.model.checkpoint import ModelConfig, load_checkpoint
    from colorized.model.unet import UNetConfig
    from colorized.training.run import RunCallback, read_state
    from training_helpers import BRIEF, pictures
    from colorized.training.train import train
    with forgetful(tmp_path) as root, monkeypatch.context() as m:
        telling(m, RunCallback, 'save', root, lambda self, *_: f"state {self.steps}")
        telling(m, RunCallback, 'save_network', root, lambda self, *_: f"network {self.photos}")
        least = ModelConfig(UNetConfig(widths=(32,), attention=(False,), encoder=None))
        train(pictures(4), root/'runs/first', bs=2, photos=8, run_args=dict(minutes=0),
              **{**BRIEF, 'config':least})
        mark(root, 'end')
    seen,n = {},0
    def once(data, read):
        "What `read` makes of a file, which is the same in many of these disks"
        key = sha256(data)
        if key not in seen:
            folder = unpack({'state.pt': data, 'model.safetensors': data}, tmp_path/'found')
            seen[key] = read(folder)
        return seen[key]
    for marks,found,what in disks(tmp_path):
        n += 1
        state,net = [found.get(f'runs/first/{o}') for o in ('state.pt', 'model.safetensors')]
        steps = once(state, lambda o: read_state(o)['steps']) if state is not None else -1
        assert steps>=max(map(int, told(marks, 'state')), default=-1), what
        training = lambda o: load_checkpoint(o/'model.safetensors')[1].training['photographs']
        photos = once(net, training) if net is not None else -1
        assert photos>=max(map(int, told(marks, 'network')), default=-1), what
        if 'end' in marks:
            rows = list(csv.DictReader(io.StringIO(found['runs/first/log.csv'].decode())))
            assert [o['photos'] for o in rows]==['4', '8'], what
    print(n, 'disks')
    assert n>40

# ---- a film, and a model for other runtimes ----
@pytest.mark.slow
def test_a_film(tmp_path, monkeypatch, colorizer):
    "What was colored stays colored until the film is whole"
    pytest.importorskip('av')
    from colorized.film import stretches
    from colorized.film.film import colorize_film
    from colorized.film.segments import Segments
    from film_files import picture, write_film
    src = write_film(tmp_path/'in.mkv', [picture(i) for i in range(9)], sound=1)
    monkeypatch.setattr(stretches.stretches, '__defaults__', (4,))
    run = lambda out: colorize_film(src, out, colorizer, False, working_size=64, steps=1, gap=4)
    (tmp_path/'whole').mkdir()
    run(tmp_path/'whole/out.mkv')
    with forgetful(tmp_path) as root, monkeypatch.context() as m:
        telling(m, Segments, 'write', root, lambda self, i, *_: f'segment {i}')
        run(root/'out.mkv')
        mark(root, 'end')
    whole,n = contents(tmp_path/'whole'),0
    for marks,found,what in disks(tmp_path, random_fates=1):
        mine = kept(found)
        films = {k: v for k,v in mine.items() if k=='out.mkv'}
        assert films.items()<=whole.items(), what
        for i in told(marks, 'segment'):
            note = found.get(f'.out.mkv.segments/{int(i):06}.json')
            data = found.get(f'.out.mkv.segments/{int(i):06}.mkv')
            safe = note and data and sha256(data)==json.loads(note)['sha256']
            assert safe or films, what
        assert 'end' not in marks or mine.keys()==whole.keys(), what
        n += 1
    print(n, 'disks')
    assert n>40

@pytest.mark.slow
def test_an_exported_model(tmp_path):
    "A manifest says what is there; without it there is no model"
    pytest.importorskip('onnx')
    from colorized.export.folder import MANIFEST, export_model, read_manifest
    small = Colorizer.from_pretrained(device='cpu')
    with forgetful(tmp_path) as root:
        export_model(small, root/'models/out')
        mark(root, 'end')
        whole,n = contents(root/'models/out'),0
        assert read_manifest(root/'models/out')
    for marks,found,what in disks(tmp_path):
        mine = {k.removeprefix('models/out/'): v for k,v in kept(found).items()}
        assert mine.items()<=whole.items(), what
        assert mine==whole or MANIFEST not in mine and 'end' not in marks, what
        n += 1
    print(n, 'disks')
    assert n>20
