"The three stages, in this process"
import errno, functools, hashlib, os, socket, subprocess, tempfile
from pathlib import Path
import numpy as np, pytest
from benchmarks.support.samples import snapshots
from colorized import __version__
from colorized.batch.options import BatchOptions
from colorized.fleet import stages
from colorized.fleet.audit import audit
from colorized.fleet.record import Record, plan
from colorized.fleet.sources import photographs
from colorized.fleet.stages import (
    Network, StageSettings, from_table, load_stage, to_table, write_one)
from colorized.fleet.store import Store
from colorized.inference.colorizer import Colorizer
from colorized.photo.provenance import Provenance
from colorized.photo.scan import ScanError

@pytest.fixture(scope='module')
def colorizer(model): return Colorizer.from_pretrained(model, 'cpu')

@pytest.fixture
def c(tmp_path, colorizer):
    options = BatchOptions(working_size=64, steps=2)
    settings = options.sampling(colorizer)
    grid,made = colorizer.grid(settings['working_size']),colorizer.provenance(settings)
    return StageSettings(options, settings, grid, made, dest=str(tmp_path/'out'))

def jobs_of(folder, **more):
    common = dict(replace=False, lost=False, **more)
    return [dict(common, name=k, row=dict(path=k, source_bytes=o['bytes'], output=o['name']))
            for k,o in photographs(folder)[0].items()]

def test_touched_originals_are_looked_at_and_stay_done(tmp_path, c):
    "New times, old bytes: no network, no painting, and the record still knows the outputs"
    src = snapshots(tmp_path/'scans', 2)
    store,made = Store(tmp_path/'out'),dict(seed=0, model_sha256='m', settings_sha256='s')
    record = Record(store, every=1e9)
    sha = lambda data: hashlib.sha256(data).hexdigest()
    for job in plan(photographs(src)[0], store, made)[0]:
        store.put(job['row']['output'], b'color')
        of = sha(Path(job['name']).read_bytes())
        row = dict(source_sha256=of, output_bytes=5, output_sha256=sha(b'color'), how='new')
        record.add({**job['row'], **row})
    record.flush()
    for o in src.rglob('*.jpg'): os.utime(o, (1, 1))
    todo,done,_ = plan(photographs(src)[0], store, made)
    assert len(todo)==2 and not done
    jobs,blobs = from_table(load_stage(to_table(todo), c))
    assert [o['how'] for o in jobs]==['checked']*2 and blobs==[b'']*2
    later = Record(store, every=1e9)
    for job in jobs: later.add(dict(job['row'], how=job['how'], warnings=None))
    later.flush()
    assert len(plan(photographs(src)[0], store, made)[1])==2
    assert not any(v for k,v in audit(store, deep=True).items() if k!='done')

def test_an_original_of_other_bytes_is_not_painted_over_its_output(tmp_path, c):
    src = snapshots(tmp_path/'in', 1)
    was = dict(source_sha256='0'*64)
    (job,),_ = from_table(load_stage(to_table(jobs_of(src, was=was)), c))
    assert 'exists already and was made of another photograph' in job['row']['error']
    assert job['row']['width'] and not job['again']
    jobs = [dict(o, replace=True) for o in jobs_of(src, was=was)]
    (job,),(blob,) = from_table(load_stage(to_table(jobs), c))
    assert blob and 'error' not in job['row']

def test_fixity(tmp_path, c):
    "The hash of a manifest is checked, in capitals as well"
    src = snapshots(tmp_path/'in', 1)
    sha = hashlib.sha256(next(src.rglob('*.jpg')).read_bytes()).hexdigest()
    (job,),(blob,) = from_table(load_stage(to_table(jobs_of(src, sha256=sha.upper())), c))
    assert blob and job['row']['source_sha256']==sha
    (job,),(blob,) = from_table(load_stage(to_table(jobs_of(src, sha256='0'*64)), c))
    why = f"is not the file of the manifest, its SHA-256 is {sha[:12]}…, not 000000000000…"
    assert job['row']['error']==f"{job['name']}: {why}" and not blob and 'width' not in job['row']

def test_an_original_is_never_its_own_output(tmp_path, c):
    src = snapshots(tmp_path/'in', 1)
    photo = next(src.rglob('*.jpg'))
    before = photo.read_bytes()
    row = dict(output=photo.relative_to(src).as_posix(), source_bytes=len(before))
    job = dict(name=str(photo), row=row, state=(0, 0), replace=True)
    c.dest = str(src)
    with pytest.raises(ScanError, match='an original is never replaced'):
        write_one(job, b'', c, str(tmp_path))
    assert photo.read_bytes()==before

def test_a_photograph_that_changes_on_the_way(tmp_path, model, c):
    "is noticed, on this machine by its time, in a bucket by its hash"
    src = snapshots(tmp_path/'in', 1)
    c.source = str(model)
    table = Network(c)(load_stage(to_table(jobs_of(src)), c))
    (job,),(blob,) = from_table(table)
    os.utime(job['name'], (1, 1))
    with pytest.raises(ScanError, match='was changed while it was being colored'):
        write_one(job, blob, c, str(tmp_path))
    Store('memory://changing').put('a.jpg', Path(job['name']).read_bytes())
    job = dict(job, name='memory://changing/a.jpg')
    job['row'] = dict(job['row'], source_sha256='0'*64)
    (tmp_path/'here').mkdir()
    with pytest.raises(ScanError, match='memory://changing/a.jpg: was changed while'):
        write_one(job, blob, c, str(tmp_path/'here'))
    job['row']['source_bytes'] = 1
    with pytest.raises(ScanError, match='it has .* bytes now, not 1'):
        write_one(job, blob, c, str(tmp_path/'here'))

@pytest.mark.parametrize('name', ['a.jpg', 'the mayor: 1910.jpg'])
def test_errors_name_the_photograph_not_its_copy(tmp_path, c, name):
    Store('memory://spoiled').put(f'box/{name}', b'not a photograph')
    row = dict(source_bytes=None, output='a.jpg')
    job = dict(name=f'memory://spoiled/box/{name}', row=row, replace=False, lost=False)
    (job,),_ = from_table(load_stage(to_table([job]), c))
    error = job['row']['error']
    assert error.startswith(f'memory://spoiled/box/{name}: ') and 'colorized-' not in error
    assert error.count('spoiled')==1 and job['again'] is False and job['row']['seconds']>0

@pytest.mark.parametrize('name', [250*'x'+'.jpg', 'out'])
def test_names_in_a_bucket_need_not_be_names_of_files(tmp_path, model, c, name):
    src,out = snapshots(tmp_path/'in', 1),'x'*300+'.png'
    c.source,c.dest = str(model),f'memory://{tmp_path.name}'
    Store(c.dest).put(name, next(src.rglob('*.jpg')).read_bytes())
    job = dict(name=f'{c.dest}/{name}', row=dict(source_bytes=None, output=out), replace=False,
               lost=False)
    (job,),(blob,) = from_table(Network(c)(load_stage(to_table([job]), c)))
    write_one(job, blob, c, str(tmp_path))
    assert Store(c.dest).get(out).startswith(b'\x89PNG')

@pytest.mark.skipif(os.name!='posix', reason='permissions of POSIX')
def test_an_output_that_may_not_be_read_is_an_error(tmp_path, model, c, monkeypatch):
    "and no process works at it for ever"
    src = snapshots(tmp_path/'in', 1)
    c.source = str(model)
    (job,),(blob,) = from_table(Network(c)(load_stage(to_table(jobs_of(src)), c)))
    Store(c.dest).put(job['row']['output'], b'of somebody else')
    def forbidden(self, path, **kwargs): raise PermissionError(13, 'Permission denied', path)
    monkeypatch.setattr(type(Store(c.dest).fs), 'cat_file', forbidden)
    stages._attempt(job, functools.partial(write_one, job, blob, c))
    assert 'Permission denied' in job['row']['error'] and job['again'] is False

def test_what_may_be_tried_again():
    def attempt(e):
        def do(folder): raise e
        job = dict(name='a.jpg', row={})
        assert stages._attempt(job, do)==b''
        return job
    for e in (MemoryError('no'), OSError(5, 'Input/output error')): assert attempt(e)['again']
    final = FileNotFoundError('gone'),ScanError('odd'),OSError(errno.ENAMETOOLONG, 'long')
    for e in final: assert not attempt(e)['again']
    full = attempt(OSError(28, 'No space left on device'))
    assert full['full']=='No space left on device' and full['again'] is False
    finished = dict(name='a.jpg', row={}, how='checked')
    assert stages._attempt(finished, lambda folder: 1/0)==b'' and 'error' not in finished['row']

def temporary(folder, why):
    return f"the folder for temporary files on {socket.gethostname()}, {folder}, {why}"

def test_no_folder_for_temporary_files(tmp_path, c, monkeypatch):
    "Each photograph says so, and may be tried elsewhere; the process goes on"
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path/'none'))
    jobs,blobs = from_table(load_stage(to_table(jobs_of(snapshots(tmp_path/'in', 2))), c))
    why = temporary(tmp_path/'none', "cannot be written (No such file or directory)")
    assert [o['row']['error'] for o in jobs]==[f"{o['name']}: {why}" for o in jobs]
    assert all(o['again'] and 'full' not in o for o in jobs) and blobs==[b'', b'']

@pytest.mark.skipif(os.name!='posix', reason='mounts of POSIX')
def test_a_full_folder_for_temporary_files_is_not_a_full_store(tmp_path, model, c, monkeypatch):
    "neither for the copy of a photograph nor for its output, and the machine is named"
    src,disk = snapshots(tmp_path/'in', 1, size=(256, 200)),tmp_path/'disk'
    c.source = str(model)
    (job,),(blob,) = from_table(Network(c)(load_stage(to_table(jobs_of(src)), c)))
    Store('memory://full').put('a.jpg', Path(job['name']).read_bytes())
    far = dict(jobs_of(src)[0], name='memory://full/a.jpg')
    disk.mkdir()
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', disk]
    if subprocess.run(mount, capture_output=True).returncode: pytest.skip('may not mount')
    try:
        monkeypatch.setattr(tempfile, 'tempdir', str(disk))
        (far,),_ = from_table(load_stage(to_table([far]), c))
        stages._attempt(job, functools.partial(write_one, job, blob, c))
        for o in far,job:
            assert o['row']['error']==f"{o['name']}: {temporary(disk, 'is full')}"
            assert o['again'] and 'full' not in o
        assert not list(disk.iterdir()) and not (tmp_path/'out').exists()
    finally: subprocess.run(['umount', disk], check=True)

def test_machine_with_another_model_or_version_is_refused(model, c):
    c.source = str(model)
    assert Network(c).colorizer.sha256==c.provenance.model_sha256
    c.provenance = Provenance(model_sha256='0'*64)
    with pytest.raises(ValueError, match='has another model'): Network(c)
    c.version = '0.0'
    match = f'has colorized {__version__}, the run was started with 0.0'
    with pytest.raises(ValueError, match=match): Network(c)

def test_network_takes_shapes_apart_and_survives_a_failure(tmp_path, model, c, monkeypatch):
    c.source,c.batch = str(model),2
    src = snapshots(tmp_path/'in', 3, size=(80, 60))
    snapshots(src/'tall', 1, size=(60, 80))
    table = load_stage(to_table(jobs_of(src)), c)
    network,calls = Network(c),[]
    real = network.colorizer.sample
    def sample(cond, *args, **draw):
        calls.append((len(cond), tuple(cond.L.shape[2:])))
        if len(calls)==1: raise RuntimeError('out of memory')
        return real(cond, *args, **draw)
    monkeypatch.setattr(network.colorizer, 'sample', sample)
    jobs,blobs = from_table(network(table))
    assert sorted(n for n,_ in calls)==[1, 1, 2] and len({shape for _,shape in calls})==2
    errors = [o['row'].get('error') for o in jobs]
    assert sum(o is not None for o in errors)==calls[0][0]
    for o,blob,error in zip(jobs, blobs, errors):
        if error: assert o['again'] and 'the network failed (RuntimeError: out of memory)' in error
        assert (blob==b'')==bool(error)

def test_tables_carry_what_they_are_given():
    jobs,blobs = [dict(name='ä'), dict(name='b', shape=[1,2])],[b'', np.arange(3.).tobytes()]
    assert from_table(to_table(jobs, blobs))==(jobs, blobs)
    assert from_table(to_table(jobs))==(jobs, [b'', b''])
