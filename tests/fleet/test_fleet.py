"A cluster of two Ray nodes on loopback and an S3 server: same bytes, workers and nodes and drivers killed, a store in a bad mood, a full disk"
import hashlib, io, os, shutil, signal, subprocess, sys, threading, time
from pathlib import Path
import numpy as np, pytest
from PIL import Image
from skimage import data as samples
root = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root/'benchmarks'))
os.environ['RAY_AUTH_MODE'] = 'disabled'
os.environ.pop('RAY_ADDRESS', None)
import loopback
from colorized import fleet as module
from colorized.batch.folder import Summary, colorize_folder, output_name
from colorized.inference.colorizer import Colorizer
from colorized.cli.main import main
from colorized.fleet.run import Network, _Fleet, _table, _unpack, colorize_dataset, look
from colorized.photo.scan import Provenance, ScanError
from colorized.fleet.store import Record, Store, audit, photographs, plan, read_record

pytestmark = pytest.mark.skipif(not sys.platform.startswith('linux'), reason='finds the processes of a node in /proc')
SMALL = dict(steps=2, working_size=64, progress=False)

@pytest.fixture(scope='module')
def nodes():
    "The head and one node more"
    out = [loopback.Node()]
    try:
        out.append(loopback.Node(out[0]))
        yield out
    finally:
        for o in reversed(out): o.kill()

@pytest.fixture
def go(nodes, model):
    "Colours on the cluster, from this process, which leaves it afterwards"
    import ray
    yield lambda src,dst,**kwargs: colorize_dataset(src, dst, model, address=nodes[0].address, **{**SMALL, 'actors':2, **kwargs})
    if ray.is_initialized(): ray.shutdown()

@pytest.fixture(scope='module')
def bucket():
    b = loopback.Bucket()
    yield b
    b.close()

def filled(bucket, folder, name, n):
    "Small photographs in the bucket, three of them spoilt; their local copies, and the address"
    loopback.snapshots(folder, n, size=(80, 60))
    bad = sorted(folder.rglob('*.jpg'))[3:12:4]
    bad[0].write_bytes(bad[0].read_bytes()[:400]); bad[1].write_bytes(b'not a photograph'); bad[2].write_bytes(b'')
    bucket.mood = None
    bucket.fs.put(f'{folder}/', f'{bucket.url}/{name}/', recursive=True)
    return f'{bucket.url}/{name}',{o.relative_to(folder).as_posix() for o in bad}

def alone(folder, model, tmp, **kwargs):
    "What `colorize` makes of each photograph in a folder: name -> bytes"
    c,out = Colorizer.from_pretrained(model, 'cpu'),{}
    for o in sorted(folder.rglob('*.*')):
        name = output_name(o.relative_to(folder).as_posix())
        dst = tmp/f'{len(out)}{Path(name).suffix}'
        try: c.colorize(o, steps=2, working_size=64, **kwargs).save(dst)
        except ScanError: continue
        out[name] = dst.read_bytes()
    return out

def prove(url, storage, n, bad):
    "The record: every photograph once, coloured or with its error. Returns its rows"
    found = audit(url, storage, deep=True)
    assert len(found['done'])==n-len(bad) and not any(found[k] for k in ('lost', 'changed', 'twice', 'unknown'))
    rows = read_record(url, storage).to_pylist()
    good = [o['output'] for o in rows if not o['error']]
    assert sorted(good)==found['done'] and len(set(good))==len(good)
    errors = {o['path'].split('/scans/')[-1]: o['error'] for o in rows if o['error']}
    assert set(errors)==bad and all(k in v for k,v in errors.items())
    return rows

def until(condition, seconds=120):
    end = time.time()+seconds
    while not condition():
        assert time.time()<end, 'waited too long'
        time.sleep(0.02)

def test_same_bytes_as_in_one_process(tmp_path, go, model):
    src = loopback.snapshots(tmp_path/'scans', 5, size=(120, 90))
    Image.fromarray(samples.camera()[:90,:120].astype(np.uint16)*257).save(src/'deep.tif')
    Image.fromarray(samples.astronaut()[:90,:120]).save(src/'ä ö.bmp')
    (src/'broken.png').write_bytes(b'\x89PNG\r\n'); (src/'empty.jpg').touch()
    got = go(src, tmp_path/'out', seed=3, uncertainty=True)
    assert (got.done, got.failed, got.left, got.stopped, got.exit_code)==(7, 2, 0, None, 1)
    out = {o.relative_to(tmp_path/'out').as_posix(): o.read_bytes() for o in (tmp_path/'out').rglob('*') if o.is_file() and 'record' not in o.parts}
    maps = {k.removesuffix('.uncertainty.png'): out.pop(k) for k in [*out] if k.endswith('.uncertainty.png')}
    want = alone(src, model, tmp_path, seed=3, n_samples=8)
    assert len(want)==7 and out==want and set(maps)==set(want)
    colorize_folder(src, tmp_path/'folder', Colorizer.from_pretrained(model, 'cpu'), seed=3, uncertainty=True, workers=0, **SMALL)
    for k,v in maps.items(): assert np.array_equal(Image.open(io.BytesIO(v)), Image.open(tmp_path/f'folder/{k}.uncertainty.png'))
    rows = {Path(o['path']).name: o for o in read_record(tmp_path/'out').to_pylist()}
    assert set(rows)=={o.name for o in src.rglob('*.*')} and all(o['error'].startswith(o['path']) for o in rows.values() if o['error'])
    row = rows['deep.tif']
    assert (row['bits'], row['width'], row['seed'], row['how'], row['tone'], row['attempt'])==(16, 120, 3, 'new', 'neutral', 1)
    assert row['uncertainty']>0 and row['seconds']>0 and row['source_sha256']==hashlib.sha256((src/'deep.tif').read_bytes()).hexdigest() and row['output_sha256']==hashlib.sha256(want['deep.tif']).hexdigest()
    assert row['model_sha256']==hashlib.sha256(model.read_bytes()).hexdigest() and not [o for o in (tmp_path/'out').rglob('.*')]
    # the spoilt ones have been mended since
    shutil.copy(src/'box 0/00000.jpg', src/'empty.jpg'); shutil.copy(src/'box 0/00001.jpg', src/'broken.png')
    again = go(src, tmp_path/'out', seed=3, uncertainty=True)
    assert (again.done, again.skipped, again.failed, again.exit_code)==(2, 7, 0, 0)
    assert (tmp_path/'out/record/report.md').read_text().count('9 photographs are coloured, 0 failed')==1

def test_worker_and_node_die_and_the_store_is_in_a_bad_mood(tmp_path, nodes, go, model, bucket):
    n = 24
    url,bad = filled(bucket, tmp_path/'in', 'moody/scans', n)
    out = f'{bucket.url}/moody/colour'
    bucket.mood = loopback.moody(0.05, slow=0.05)
    deeds,wrong = [],[]
    def give_up(*_): raise AssertionError(f'{deeds}, then {wrong}') # else the run waits for a node that never comes
    signal.signal(signal.SIGALRM, give_up)
    def murder():
        try:
            until(lambda: len(bucket.written('/moody/colour/box')) >= 3)
            victims = [pid for o in nodes for pid in o.workers('MapWorker')] # actors, with a network
            os.kill(victims[0], signal.SIGKILL); deeds.append('worker')
            until(lambda: len(bucket.written('/moody/colour/box')) >= 6)
            nodes[1].kill(); deeds.append('node')
            nodes[1] = loopback.Node(nodes[0]); deeds.append('another')
        except BaseException as e: wrong.append(e); os.kill(os.getpid(), signal.SIGALRM)
    killer = threading.Thread(target=murder); killer.start()
    got = go(url, out, storage=bucket.storage, every=1)
    killer.join()
    bucket.mood = None
    assert deeds==['worker', 'node', 'another'] and not wrong
    assert (got.done, got.failed, got.left, got.stopped, got.exit_code)==(n-3, 3, 0, None, 1)
    prove(out, bucket.storage, n, bad)
    written = bucket.written('/moody/colour/box')
    assert len(written)==n-3 and set(written.values())=={1} # as the server saw it
    want = alone(tmp_path/'in', model, tmp_path)
    assert len(want)==n-3
    assert {k: bucket.fs.cat_file(f'{out}/{k}') for k in want}==want

def test_driver_is_killed_and_started_again(tmp_path, nodes, model, bucket, capsys):
    n = 12
    url,bad = filled(bucket, tmp_path/'in', 'driver/scans', n)
    out = f'{bucket.url}/driver/colour'
    bucket.mood = lambda method,path: time.sleep(0.2) if method=='PUT' and '/colour/box' in path else None
    env = {**os.environ, 'AWS_ACCESS_KEY_ID':'testing', 'AWS_SECRET_ACCESS_KEY':'testing', 'PYTHONPATH':str(root), 'OMP_NUM_THREADS':'1'}
    argv = ['fleet', url, '--out', out, '--endpoint', bucket.storage['endpoint_url'], '--storage', 'key=testing', 'secret=testing', '--model', str(model), '--address', nodes[0].address, '--steps', '2', '--actors', '1']
    start = lambda: subprocess.Popen([sys.executable, '-c', 'import sys; from colorized.cli.main import main; sys.exit(main())', *argv], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = start()
    until(lambda: len(bucket.written('/driver/colour/box')) >= 2 or first.poll() is not None)
    first.kill(); said = first.communicate()[1]
    assert first.returncode==-signal.SIGKILL and bucket.fs.exists(f'{out}/record/RUNNING'), said
    there = len(bucket.written('/driver/colour/box'))
    assert there<n-3
    second = start()
    said = second.communicate(timeout=240)[1]
    assert second.returncode==1 and '3 failed' in said and 'Traceback' not in said, said
    prove(out, bucket.storage, n, bad)
    written = bucket.written('/driver/colour/box')
    assert len(written)==n-3 and set(written.values())=={1}
    assert not bucket.fs.exists(f'{out}/record/RUNNING')
    audit_ = ['fleet', '--out', out, '--audit', *argv[4:9]]
    assert main(audit_)==1 and '3 failed' in (said := capsys.readouterr().out) and all(o in said for o in bad)

def test_full_disk(tmp_path, go):
    disk = tmp_path/'disk'; disk.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=200k', 'tmpfs', disk], capture_output=True).returncode: pytest.skip('may not mount')
    try:
        src = loopback.snapshots(tmp_path/'scans', 12, size=(256, 200))
        got = go(src, disk/'out', actors=1)
        assert got.exit_code==1 and 'No space left' in got.stopped and got.failed+got.left>=1 and got.done+got.failed+got.left==12
        assert not [o for o in disk.rglob('.*')]
        subprocess.run(['mount', '-o', 'remount,size=8m', disk], check=True)
        again = go(src, disk/'out', actors=1)
        assert again.exit_code==0 and again.left==0
        found = audit(disk/'out', deep=True)
        assert len(found.pop('done'))==12 and not any(found.values())
    finally: subprocess.run(['umount', disk], check=True)

def test_cluster_without_gpu_is_told_apart(tmp_path, go):
    with pytest.raises(ValueError, match='gpus: each network is to have 1, the cluster has 0'): go(loopback.snapshots(tmp_path/'scans', 1), tmp_path/'out', gpus=1)
    assert not (tmp_path/'out/record/RUNNING').exists()

def test_a_silent_cluster_is_spoken_of(nodes, go, monkeypatch):
    "Once each time that nothing comes back, with what room there is; not while photographs arrive"
    import ray
    ray.init(nodes[0].address, logging_level='CRITICAL', log_to_driver=False)
    monkeypatch.setattr(module, 'QUIET', 0.5)
    said,over = [],threading.Event()
    class Bar:
        def say(self, what): said.append(what)
    run = _Fleet([], {}, None, None, None, Summary(left=100), Bar(), 1, 0)
    watch = threading.Thread(target=run.watch, args=(over,)); watch.start()
    for silences in (1, 2):
        for _ in range(8): run.sum.left -= 1; time.sleep(0.1)
        assert len(said)==silences-1
        until(lambda: len(said)==silences); time.sleep(1)
        assert len(said)==silences
    over.set(); watch.join()
    assert all('nothing came back for 0.5 seconds; the cluster has 2 CPUs, 2 at the start, 2 of them free' in o for o in said), said

# What needs no cluster

def test_photograph_that_kills_its_process_is_found():
    class Bar:
        def say(self, what): pass
        def update(self): pass
    class Log:
        def __init__(self): self.rows,self.error = [],None
        def add(self, row): self.rows.append(row)
    log,asked = Log(),[]
    jobs = [dict(name=f'{i}.jpg', row=dict(path=f'{i}.jpg')) for i in range(10)]
    run = _Fleet(jobs, dict(block=4), None, log, log, Summary(left=10), Bar(), 1, 0)
    def stream(jobs, size): # tables with photograph 5 in them never come back
        asked.append((len(jobs), size))
        for i in range(0, len(jobs), size):
            if all(o['name']!='5.jpg' for o in jobs[i:i+size]): yield from (dict(o, how='new') for o in jobs[i:i+size])
    run.stream = stream
    run.go()
    assert asked==[(10, 4), (4, 1)] and (run.sum.done, run.sum.failed, run.sum.left)==(9, 1, 0)
    assert sorted(o['path'] for o in log.rows)==[o['name'] for o in jobs]
    assert [o['error'] for o in log.rows if o.get('error')]==['5.jpg: the process that worked on it died; is there too little memory?']

def test_touched_originals_are_looked_at_and_stay_done(tmp_path):
    "New times, old bytes: no network, no painting, and the record still knows the outputs"
    src = loopback.snapshots(tmp_path/'scans', 2)
    store,made = Store(tmp_path/'out'),dict(seed=0, model_sha256='m', settings_sha256='s')
    c = dict(storage=None, look=dict(working_size=64), multiple=32)
    record = Record(store, every=1e9)
    for job in plan(photographs(src)[0], store, made)[0]:
        store.put(job['row']['output'], b'colour')
        record.add(dict(job['row'], source_sha256=hashlib.sha256(Path(job['name']).read_bytes()).hexdigest(), output_bytes=6, output_sha256=hashlib.sha256(b'colour').hexdigest(), how='new'))
    record.flush()
    for o in src.rglob('*.jpg'): os.utime(o, (1, 1))
    todo,done,_ = plan(photographs(src)[0], store, made)
    assert len(todo)==2 and not done
    jobs,blobs = _unpack(look(_table(todo), c))
    assert [o['how'] for o in jobs]==['checked']*2 and blobs==[b'']*2
    later = Record(store, every=1e9)
    for job in jobs: later.add(dict(job['row'], how=job['how'], warnings=None))
    later.flush()
    assert len(plan(photographs(src)[0], store, made)[1])==2 and not any(v for k,v in audit(store, deep=True).items() if k!='done')

def test_an_original_is_never_its_own_output(tmp_path):
    src = loopback.snapshots(tmp_path/'in', 1)
    photo = next(src.rglob('*.jpg')); before = photo.read_bytes()
    job = dict(name=str(photo), row=dict(output=photo.relative_to(src).as_posix(), source_bytes=len(before)), state=(0, 0), replace=True)
    c = dict(storage=None, dest=str(src))
    with pytest.raises(ScanError, match='an original is never replaced'): module._paint_one(job, b'', c, str(tmp_path))
    assert photo.read_bytes()==before

def test_machine_with_another_model_or_version_is_refused(model):
    c = dict(version=module.__version__, threads=1, source=str(model), device='cpu', provenance=Provenance(model_sha256='0'*64))
    with pytest.raises(ValueError, match='has another model'): Network(c)
    with pytest.raises(ValueError, match='the run was started with 0.0'): Network(dict(c, version='0.0'))

def test_bad_settings_name_themselves(tmp_path, model, capsys):
    src = loopback.snapshots(tmp_path/'scans', 1)
    for kwargs in (dict(steps=0), dict(saturation=-1), dict(actors=0), dict(batch=0), dict(gpus=-1), dict(working_size=100), dict(seed=2**63), dict(format='gif')):
        with pytest.raises(ValueError, match=next(iter(kwargs))): colorize_dataset(src, tmp_path/'out', model, **{**SMALL, **kwargs})
    for argv,code,words in ((['fleet', '--out', str(tmp_path/'out')], 2, 'name a folder'), (['fleet', str(tmp_path/'none'), '--out', str(tmp_path/'out'), '--model', str(model)], 1, 'none: no such file or folder'),
                            (['fleet', str(src), '--out', str(src.parent), '--model', str(model)], 1, 'lie inside'), (['fleet', '--audit', '--out', str(tmp_path/'out')], 1, 'no record'),
                            (['fleet', str(src), '--out', str(tmp_path/'out'), '--storage', 'key'], 2, 'KEY=VALUE')):
        assert main(argv)==code and words in capsys.readouterr().err
    assert not (tmp_path/'out').exists()

def test_dry_run_starts_no_cluster(tmp_path, model, capsys):
    src = loopback.snapshots(tmp_path/'scans', 2)
    assert main(['fleet', str(src), '--out', str(tmp_path/'out'), '--model', str(model), '--dry-run'])==0
    assert capsys.readouterr().out.count('to do')==2 and not (tmp_path/'out').exists()
