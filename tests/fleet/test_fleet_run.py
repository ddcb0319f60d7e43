"Two Ray nodes on loopback and an S3 server: same bytes, though processes, nodes and drivers die"
import hashlib, inspect, io, os, shutil, signal, socket, subprocess, sys, threading, time
from pathlib import Path
import numpy as np, pytest
from PIL import Image
from fastcore.docments import docments
from skimage import data as samples
os.environ['RAY_AUTH_MODE'] = 'disabled'
os.environ.pop('RAY_ADDRESS', None)
from benchmarks.support import loopback
from benchmarks.support.samples import snapshots
from fleet_tools import Bar, until
from colorized.batch.folder import colorize_folder
from colorized.batch.names import output_name
from colorized.batch.options import BatchOptions
from colorized.batch.progress import Summary
from colorized.cli.main import main
from colorized.fleet import run as module
from colorized.fleet.audit import audit
from colorized.fleet.cluster import Cluster
from colorized.fleet.record import read_record
from colorized.fleet.run import FleetRun, colorize_dataset
from colorized.fleet.stages import StageSettings
from colorized.inference.colorizer import Colorizer
from colorized.photo.scan import ScanError

root = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    not sys.platform.startswith('linux'), reason='finds the processes of a node in /proc')
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
    "Colors on the cluster, from this process, which leaves it afterwards"
    import ray
    def colorize(src, dst, **kwargs):
        options = {**SMALL, 'actors':2, **kwargs}
        return colorize_dataset(src, dst, model, address=nodes[0].address, **options)
    yield colorize
    if ray.is_initialized(): ray.shutdown()

def filled(bucket, folder, name, n):
    "Small photographs in the bucket, three of them spoiled; their local copies, and the address"
    snapshots(folder, n, size=(80, 60))
    bad = sorted(folder.rglob('*.jpg'))[3:12:4]
    bad[0].write_bytes(bad[0].read_bytes()[:400])
    bad[1].write_bytes(b'not a photograph')
    bad[2].write_bytes(b'')
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
    "The record: every photograph once, colored or with its error. Returns its rows"
    found = audit(url, storage, deep=True)
    assert len(found['done'])==n-len(bad)
    assert not any(found[k] for k in ('lost', 'changed', 'twice', 'unknown'))
    rows = read_record(url, storage).to_pylist()
    good = [o['output'] for o in rows if not o['error']]
    assert sorted(good)==found['done'] and len(set(good))==len(good)
    errors = {o['path'].split('/scans/')[-1]: o['error'] for o in rows if o['error']}
    assert set(errors)==bad and all(k in v for k,v in errors.items())
    return rows

def outputs_of(folder):
    "(name -> bytes of outputs, name of the photograph's output -> bytes of its map)"
    files = [o for o in folder.rglob('*') if o.is_file() and 'record' not in o.parts]
    out = {o.relative_to(folder).as_posix(): o.read_bytes() for o in files}
    end = '.uncertainty.png'
    return out,{k.removesuffix(end): out.pop(k) for k in [*out] if k.endswith(end)}

@pytest.mark.slow
def test_same_bytes_as_in_one_process(tmp_path, go, model):
    src,dst = snapshots(tmp_path/'scans', 5, size=(120, 90)),tmp_path/'out'
    Image.fromarray(samples.camera()[:90,:120].astype(np.uint16)*257).save(src/'deep.tif')
    Image.fromarray(samples.astronaut()[:90,:120]).save(src/'ä ö.bmp')
    (src/'broken.png').write_bytes(b'\x89PNG\r\n')
    (src/'empty.jpg').touch()
    got = go(src, dst, seed=3, uncertainty=True)
    assert (got.done, got.failed, got.left, got.stopped, got.exit_code)==(7, 2, 0, None, 1)
    out,maps = outputs_of(dst)
    want = alone(src, model, tmp_path, seed=3, n_samples=8)
    assert len(want)==7 and out==want and set(maps)==set(want)
    one = Colorizer.from_pretrained(model, 'cpu')
    colorize_folder(src, tmp_path/'folder', one, seed=3, uncertainty=True, workers=0, **SMALL)
    for k,v in maps.items():
        same = Image.open(tmp_path/f'folder/{k}.uncertainty.png')
        assert np.array_equal(Image.open(io.BytesIO(v)), same)
    rows = {Path(o['path']).name: o for o in read_record(dst).to_pylist()}
    assert set(rows)=={o.name for o in src.rglob('*.*')}
    assert all(o['error'].startswith(o['path']) for o in rows.values() if o['error'])
    row = rows['deep.tif']
    shown = [row[k] for k in ('bits', 'width', 'seed', 'how', 'tone', 'attempt')]
    assert shown==[16, 120, 3, 'new', 'neutral', 1] and row['uncertainty']>0 and row['seconds']>0
    assert row['source_sha256']==hashlib.sha256((src/'deep.tif').read_bytes()).hexdigest()
    assert row['output_sha256']==hashlib.sha256(want['deep.tif']).hexdigest()
    assert row['model_sha256']==hashlib.sha256(model.read_bytes()).hexdigest()
    assert not [o for o in dst.rglob('.*')]
    # the spoiled ones have been mended since
    shutil.copy(src/'box 0/00000.jpg', src/'empty.jpg')
    shutil.copy(src/'box 0/00001.jpg', src/'broken.png')
    again = go(src, dst, seed=3, uncertainty=True)
    assert (again.done, again.skipped, again.failed, again.exit_code)==(2, 7, 0, 0)
    said = (dst/'record/report.md').read_text()
    assert said.count('9 photographs are colored, 0 failed')==1

@pytest.mark.slow
def test_worker_and_node_die_and_the_store_is_in_a_bad_mood(tmp_path, nodes, go, model, bucket):
    n = 24
    url,bad = filled(bucket, tmp_path/'in', 'moody/scans', n)
    out,written = f'{bucket.url}/moody/color',lambda: bucket.written('/moody/color/box')
    bucket.mood = loopback.moody(0.05, slow=0.05)
    deeds,wrong = [],[]
    def give_up(*_): # else the run waits for a node that never comes
        raise AssertionError(f'{deeds}, then {wrong}')
    signal.signal(signal.SIGALRM, give_up)
    def murder():
        try:
            until(lambda: len(written()) >= 3)
            # actors, with a network
            victims = [pid for o in nodes for pid in o.workers('MapWorker')]
            os.kill(victims[0], signal.SIGKILL)
            deeds.append('worker')
            until(lambda: len(written()) >= 6)
            nodes[1].kill()
            deeds.append('node')
            nodes[1] = loopback.Node(nodes[0])
            deeds.append('another')
        except BaseException as e:
            wrong.append(e)
            os.kill(os.getpid(), signal.SIGALRM)
    killer = threading.Thread(target=murder)
    killer.start()
    got = go(url, out, storage=bucket.storage, every=1)
    killer.join()
    bucket.mood = None
    assert deeds==['worker', 'node', 'another'] and not wrong
    assert (got.done, got.failed, got.left, got.stopped, got.exit_code)==(n-3, 3, 0, None, 1)
    prove(out, bucket.storage, n, bad)
    assert len(written())==n-3 and set(written().values())=={1} # as the server saw it
    want = alone(tmp_path/'in', model, tmp_path)
    assert len(want)==n-3
    assert {k: bucket.fs.cat_file(f'{out}/{k}') for k in want}==want

@pytest.mark.slow
def test_driver_is_killed_and_started_again(tmp_path, nodes, model, bucket, capsys):
    n = 12
    url,bad = filled(bucket, tmp_path/'in', 'driver/scans', n)
    out,written = f'{bucket.url}/driver/color',lambda: bucket.written('/driver/color/box')
    slow = lambda method,path: method=='PUT' and '/color/box' in path
    bucket.mood = lambda method,path: time.sleep(0.2) if slow(method, path) else None
    keys = {'AWS_ACCESS_KEY_ID':'testing', 'AWS_SECRET_ACCESS_KEY':'testing'}
    env = {**os.environ, **keys, 'PYTHONPATH':str(root), 'OMP_NUM_THREADS':'1'}
    endpoint = bucket.storage['endpoint_url']
    store = ['--endpoint', endpoint, '--storage', 'key=testing', 'secret=testing']
    more = ['--model', str(model), '--address', nodes[0].address, '--steps', '2', '--actors', '1']
    argv = ['fleet', url, '--out', out, *store, *more]
    code = 'import sys; from colorized.cli.main import main; sys.exit(main())'
    start = lambda: subprocess.Popen([sys.executable, '-c', code, *argv], env=env, text=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    first = start()
    until(lambda: len(written()) >= 2 or first.poll() is not None)
    first.kill()
    said = first.communicate()[1]
    assert first.returncode==-signal.SIGKILL and bucket.fs.exists(f'{out}/record/RUNNING'), said
    assert len(written())<n-3
    second = start()
    said = second.communicate(timeout=240)[1]
    assert second.returncode==1 and '3 failed' in said and 'Traceback' not in said, said
    prove(out, bucket.storage, n, bad)
    assert len(written())==n-3 and set(written().values())=={1}
    assert not bucket.fs.exists(f'{out}/record/RUNNING')
    assert main(['fleet', '--out', out, '--audit', *store])==1
    said = capsys.readouterr().out
    assert '3 failed' in said and all(o in said for o in bad)

@pytest.mark.slow
def test_full_disk(tmp_path, go):
    disk = tmp_path/'disk'
    disk.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=200k', 'tmpfs', disk]
    if subprocess.run(mount, capture_output=True).returncode: pytest.skip('may not mount')
    try:
        src = snapshots(tmp_path/'scans', 12, size=(256, 200))
        got = go(src, disk/'out', actors=1)
        assert got.exit_code==1 and 'No space left' in got.stopped and got.failed+got.left>=1
        assert got.done+got.failed+got.left==12
        assert not [o for o in disk.rglob('.*')]
        subprocess.run(['mount', '-o', 'remount,size=8m', disk], check=True)
        again = go(src, disk/'out', actors=1)
        assert again.exit_code==0 and again.left==0
        found = audit(disk/'out', deep=True)
        assert len(found.pop('done'))==12 and not any(found.values())
    finally: subprocess.run(['umount', disk], check=True)

@pytest.mark.slow
def test_cluster_without_gpu_is_told_apart(tmp_path, go):
    src = snapshots(tmp_path/'scans', 1)
    with pytest.raises(ValueError, match='gpus: each network is to have 1, the cluster has 0'):
        go(src, tmp_path/'out', gpus=1)
    assert not (tmp_path/'out/record/RUNNING').exists()

@pytest.mark.slow
def test_a_silent_cluster_is_spoken_of(nodes, go, monkeypatch):
    "Once each time that nothing comes back, with what room there is; not while photographs arrive"
    import ray
    ray.init(nodes[0].address, logging_level='CRITICAL', log_to_driver=False)
    monkeypatch.setattr(module, 'QUIET', 0.5)
    bar,over = Bar(),threading.Event()
    run = FleetRun([], None, Cluster(), None, None, Summary(left=100), bar)
    watch = threading.Thread(target=run.watch, args=(over,))
    watch.start()
    for silences in (1, 2):
        for _ in range(8):
            run.summary.left -= 1
            time.sleep(0.1)
        assert len(bar.said)==silences-1
        until(lambda: len(bar.said)==silences)
        time.sleep(1)
        assert len(bar.said)==silences
    over.set()
    watch.join()
    want = ('nothing came back for 0.5 seconds; '
            'the cluster has 2 CPUs, 2 at the start, 2 of them free')
    assert all(want in o for o in bar.said), bar.said

# What needs no cluster

class Log:
    "A record and lease that only remember"
    def __init__(self): self.rows,self.error = [],None
    def add(self, row): self.rows.append(row)

class FakeCluster:
    "Brings back what `answer` makes of each table"
    def __init__(self, answer): self.answer,self.asked = answer,[]
    def stream(self, jobs, size, c, weights):
        self.asked.append((len(jobs), size))
        for i in range(0, len(jobs), size): yield from self.answer(jobs[i:i+size])

def run_of(answer, n=10, batch=4):
    jobs = [dict(name=f'{i}.jpg', row=dict(path=f'{i}.jpg')) for i in range(n)]
    log,c,cluster = Log(),StageSettings(None, {}, {}, batch=batch),FakeCluster(answer)
    return FleetRun(jobs, c, cluster, log, log, Summary(left=n), Bar()),log,cluster

def test_photograph_that_kills_its_process_is_found():
    def answer(jobs): # tables with photograph 5 in them never come back
        if all(o['name']!='5.jpg' for o in jobs): yield from (dict(o, how='new') for o in jobs)
    run,log,cluster = run_of(answer)
    run.go()
    assert cluster.asked==[(10, 4), (4, 1)]
    assert (run.summary.done, run.summary.failed, run.summary.left)==(9, 1, 0)
    assert sorted(o['path'] for o in log.rows)==[f'{i}.jpg' for i in range(10)]
    errors = [o['error'] for o in log.rows if o.get('error')]
    assert errors==['5.jpg: the process that worked on it died; is there too little memory?']

def failed(job, **more):
    return dict(job, row=dict(job['row'], error=f"{job['name']}: away"), **more)

def test_bad_luck_is_tried_again():
    "once, one photograph at a time; what it is then, it stays"
    def answer(jobs):
        good = len(jobs)==1
        yield from (dict(o, how='new') if good else failed(o, again=True) for o in jobs)
    run,log,cluster = run_of(answer, 8)
    run.go()
    assert cluster.asked==[(8, 4), (8, 1)] and run.summary.done==8
    run,log,cluster = run_of(lambda jobs: [failed(o, again=True) for o in jobs], 8)
    run.go()
    assert (run.summary.failed, run.summary.left, run.summary.stopped)==(8, 0, None)
    run,log,cluster = run_of(lambda jobs: [failed(o, again=False) for o in jobs], 8)
    run.go()
    assert cluster.asked[-1][1]!=1 or cluster.asked[-1][0]==0
    assert run.summary.failed==8

def test_a_store_that_stopped_answering_stops_the_run():
    run,log,cluster = run_of(lambda jobs: [failed(o, again=True) for o in jobs], 60)
    run.go()
    why = '50 photographs in turn failed, the last with: 49.jpg: away'
    assert run.summary.stopped==why and run.summary.left==60
    def sometimes(jobs): # never 50 in turn
        for o in jobs: yield dict(o, how='new') if o['name']=='30.jpg' else failed(o, again=True)
    run,log,cluster = run_of(sometimes, 60, batch=1)
    run.go()
    assert run.summary.stopped is None and run.summary.failed==59

def test_a_full_disk_and_a_lost_lease_stop_the_run():
    run,log,cluster = run_of(lambda jobs: [failed(o, full='No space left') for o in jobs])
    run.go()
    assert run.summary.stopped=='0.jpg: away' and (run.summary.failed, run.summary.left)==(1, 9)
    run,log,cluster = run_of(lambda jobs: [dict(o, how='checked') for o in jobs])
    log.error = 'another run has taken over'
    run.go()
    assert run.summary.stopped==log.error and (run.summary.skipped, run.summary.left)==(1, 9)

def test_signature_is_honest():
    "The options are those of a folder, with their defaults and documentation"
    options = inspect.signature(BatchOptions).parameters
    fleet = inspect.signature(colorize_dataset).parameters
    own = {'source', 'dest', 'model', 'root', 'storage', 'address', 'actors', 'gpus', 'threads',
           'batch', 'every'}
    assert set(fleet)==own|set(options) and not own&set(options)
    assert all(fleet[k].default==o.default for k,o in options.items())
    docs = docments(colorize_dataset)
    assert all(docs[k] for k in fleet)

BAD = [dict(steps=0), dict(saturation=-1), dict(actors=0), dict(batch=0), dict(threads=0),
       dict(gpus=-1), dict(every=-1), dict(working_size=100), dict(seed=2**63), dict(format='gif'),
       dict(source_type='digitalCapture'), dict(quality=0), dict(bits=16)]

def test_bad_settings_name_themselves(tmp_path, model, capsys):
    src,out = snapshots(tmp_path/'scans', 1),tmp_path/'out'
    for kwargs in BAD:
        with pytest.raises(ValueError, match=next(iter(kwargs))):
            colorize_dataset(src, out, model, **{**SMALL, **kwargs})
    own = ['--model', str(model)]
    for argv,code,words in (
            (['--out', str(out)], 2, 'name a folder'),
            ([str(tmp_path/'none'), '--out', str(out), *own], 1, 'none: no such file or folder'),
            ([str(src), '--out', str(src.parent), *own], 1, 'lie inside'),
            (['--audit', '--out', str(out)], 1, 'no record'),
            ([str(src), '--out', str(out), '--storage', 'key'], 2, 'KEY=VALUE')):
        assert main(['fleet', *argv])==code and words in capsys.readouterr().err
    assert not out.exists()

@pytest.mark.parametrize('address', ['127.0.0.1:{}', 'ray://127.0.0.1:{}', 'nowhere.invalid:{}'])
def test_where_nobody_answers_it_says_so_at_once(tmp_path, model, capsys, address):
    with socket.socket() as o: # bound, and nobody listens
        o.bind(('127.0.0.1', 0))
        address,start = address.format(o.getsockname()[1]),time.monotonic()
        src = snapshots(tmp_path/'scans', 1)
        more = '--out', tmp_path/'out', '--model', model, '--address', address
        assert main(['fleet', str(src), *map(str, more)])==1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f'colorized: Ray {address}: no cluster answers there')
    assert time.monotonic()-start<60

def test_what_is_missing_or_passed_over_is_said(tmp_path, model, capsys):
    "A link to nowhere fails the run; what lies among the outputs is none of its business"
    src,out = tmp_path/'in',tmp_path/'in/out'
    (out/'record').mkdir(parents=True)
    (out/'record/report.md').touch()
    (out/'old.jpg').symlink_to('nowhere')
    (src/'gone.jpg').symlink_to('nowhere')
    (src/'b.dng').touch()
    argv = 'fleet', str(src), '--out', str(out), '--model', str(model)
    error = f'{src}/gone.jpg: is a link to a file that is not there'
    assert main([*argv, '--dry-run'])==1
    said = capsys.readouterr().out.splitlines()
    assert said==[f'passed over in {src}: 1 .dng', f'would fail: {error}']
    assert main([*argv])==1
    said = capsys.readouterr().err
    assert error in said and f'passed over in {src}: 1 .dng\n' in said and '1 failed' in said
    assert [o['error'] for o in read_record(out).to_pylist()]==[error]

def test_a_report_that_fails_keeps_no_lease(tmp_path, model, monkeypatch):
    def fail(store): raise TypeError('no order')
    monkeypatch.setattr(module, 'report', fail)
    got = colorize_dataset([tmp_path/'gone.jpg'], tmp_path/'out', model, progress=False)
    assert got.stopped=='no order' and got.exit_code==1
    assert [o.suffix for o in (tmp_path/'out/record').iterdir()]==['.parquet'] # no RUNNING

def test_a_report_of_others_ends_a_run_before_it_begins(tmp_path, model):
    (tmp_path/'out/record').mkdir(parents=True)
    (tmp_path/'out/record/report.md').write_text('of our own')
    with pytest.raises(FileExistsError, match='report.md exists already'):
        colorize_dataset([tmp_path/'gone.jpg'], tmp_path/'out', model, progress=False)
    assert [o.read_text() for o in (tmp_path/'out/record').iterdir()]==['of our own']

def test_dry_run_starts_no_cluster(tmp_path, model, capsys):
    src = snapshots(tmp_path/'scans', 2)
    own = ['--model', str(model), '--dry-run']
    assert main(['fleet', str(src), '--out', str(tmp_path/'out'), *own])==0
    assert capsys.readouterr().out.count('to do')==2 and not (tmp_path/'out').exists()
