"Stores: folders, and an S3 server on loopback that has bad moods"
import errno, functools, hashlib, os, subprocess, sys, threading
import pytest
from fleet_tools import client_of
from benchmarks.support.loopback import KEYS, moody
from colorized.fleet import store as module
from colorized.fleet.record import Record, read_record
from colorized.fleet.store import Store, misnamed, object_tag, with_retries

@pytest.fixture
def hurry(monkeypatch):
    "Pauses are noted instead of taken"
    pauses = []
    monkeypatch.setattr(module.time, 'sleep', pauses.append)
    return pauses

def puts(bucket, name):
    return [status for method,path,status in bucket.log if method=='PUT' and name in path]

def test_the_store_knows_no_torch():
    "so that listing, planning and auditing a bucket start fast"
    code = "import sys, colorized.fleet.store; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, '-c', code]).returncode==0

def test_objects_in_a_bucket_as_another_client_sees_them(s3):
    store,bucket = s3
    name = 'box/ä ö.jpg'
    assert [store.put(name, b'one'), store.put(name, b'one')]==['new', 'same']
    with pytest.raises(FileExistsError, match='something else.*s3://archive/.*ä ö.jpg'):
        store.put(name, b'two')
    key = f"{store.root.split('/', 1)[1]}/{name}"
    there = client_of(bucket).get_object(Bucket='archive', Key=key)
    assert there['Body'].read()==store.get(name)==b'one'
    assert store.files()=={name: (3, there['ETag'].strip('"'))}
    assert store.tag(name)==hashlib.md5(b'one').hexdigest()
    assert store.put(name, b'two', replace=True)=='replaced' and store.get(name)==b'two'

def test_large_object_goes_in_parts(s3, monkeypatch):
    store,bucket = s3
    # S3's smallest part; s3fs takes 50 MB
    in_parts = functools.partial(store.fs.pipe_file, chunksize=5*2**20)
    monkeypatch.setattr(store.fs, 'pipe_file', in_parts)
    data = os.urandom(11*2**20)
    assert [store.put('large.tif', data), store.put('large.tif', data)]==['new', 'same']
    assert store.tag('large.tif').endswith('-3')
    with pytest.raises(FileExistsError, match='large.tif'): store.put('large.tif', data[::-1])
    assert store.get('large.tif')==data

def test_answer_of_an_upload_is_lost(s3, hurry):
    store,bucket = s3
    moods = ['lost']
    bucket.mood = lambda method,path: moods.pop() if method=='PUT' and moods else None
    assert store.put('a', b'one')=='same' # it was there when we asked again
    assert puts(bucket, 'lost/a')==[200, 412] and store.get('a')==b'one'

def test_bad_mood_passes(s3, hurry):
    store,bucket = s3
    bucket.mood = moody(0.3, seed=1)
    names = [f'{i}.jpg' for i in range(20)]
    for o in names: store.put(o, o.encode())
    assert [store.get(o) for o in names]==[o.encode() for o in names]
    assert sorted(store.files())==sorted(names)
    assert any(status in (500, 503) for status in puts(bucket, 'mood_passes'))
    assert all(puts(bucket, f'passes/{o}').count(200)==1 for o in names)

def test_store_that_stays_away_is_named(s3, hurry):
    store,bucket = s3
    bucket.mood = lambda method,path: 503
    for do,*data in ((store.get,), (store.put, b''), (store.tag,)):
        hurry.clear()
        with pytest.raises(OSError, match='s3://archive/.*/a.jpg'): do('a.jpg', *data)
        assert len(hurry)==5 and all(0.5<o/(0.25*2**i)<1.5 for i,o in enumerate(hurry))
    with pytest.raises(OSError, match=store.url): store.files()

def test_forbidden_is_said_at_once(s3):
    store,bucket = s3
    bucket.mood = lambda method,path: 403
    n = len(bucket.log)
    with pytest.raises(PermissionError, match='s3://archive/.*/a.jpg'): store.get('a.jpg')
    assert len(bucket.log)==n+1

def test_nobody_listens_at_the_address(hurry):
    once = dict(connect_timeout=1, retries=dict(mode='standard', max_attempts=1))
    nowhere = dict(KEYS, endpoint_url='http://127.0.0.1:9', config_kwargs=once)
    store = Store('s3://archive/x', nowhere)
    with pytest.raises(OSError, match='s3://archive/x/a'): store.put('a', b'')

def test_of_many_writers_of_a_name_one_wins(tmp_path):
    store,out,gate = Store(tmp_path),[],threading.Barrier(8)
    def write(i):
        gate.wait()
        try: out.append((store.put('box/a', bytes([i])*100_000), i))
        except FileExistsError: out.append(('refused', i))
    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for o in threads: o.start()
    for o in threads: o.join()
    (winner,), = [[i for how,i in out if how=='new']]
    assert len(out)==8 and store.get('box/a')==bytes([winner])*100_000
    assert os.listdir(tmp_path/'box')==['a']

@pytest.mark.skipif(os.name!='posix', reason='mounts of POSIX')
def test_full_disk_leaves_nothing(tmp_path):
    mount = ['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', tmp_path]
    if subprocess.run(mount, capture_output=True).returncode: pytest.skip('may not mount')
    try:
        store = Store(tmp_path)
        with pytest.raises(OSError, match='No space left'): store.put('a', bytes(100_000))
        assert os.listdir(tmp_path)==[]
        record = Record(store, every=1e9)
        (tmp_path/'filler').write_bytes(bytes(60_000))
        record.add(dict(path='x.jpg', output='x.jpg', how='new'))
        assert not record.flush() and 'No space left' in record.error and len(record.rows)==1
        (tmp_path/'filler').unlink()
        assert record.flush() and read_record(tmp_path)['path'].to_pylist()==['x.jpg']
    finally: subprocess.run(['umount', tmp_path], check=True)

def test_a_folder_that_cannot_be_listed_is_an_error(tmp_path, monkeypatch):
    "while one that is not there yet is empty"
    assert Store(tmp_path/'none').files()=={}
    (tmp_path/'locked').mkdir()
    (tmp_path/'link').symlink_to('nowhere')
    (tmp_path/'a').write_bytes(b'123')
    assert [(k,n) for k,(n,_) in Store(tmp_path).files().items()]==[('a', 3)]
    real = os.scandir
    def scandir(path):
        if 'locked' in str(path): raise PermissionError(13, 'Permission denied', str(path))
        return real(path)
    monkeypatch.setattr(os, 'scandir', scandir)
    with pytest.raises(PermissionError, match='locked'): Store(tmp_path).files()

def test_a_tag_changes_with_its_object(tmp_path):
    path = tmp_path/'a'
    path.write_bytes(b'one')
    before = object_tag(os.stat(path))
    os.utime(path, (1, 1))
    touched = object_tag(os.stat(path))
    path.write_bytes(b'four')
    os.utime(path, (1, 1))
    assert len({before, touched, object_tag(os.stat(path))})==3
    assert object_tag(dict(size=3, created='then'))=='then-3'

ERRORS = [
    (OSError(5, 'Input/output error'), OSError), (PermissionError('Forbidden'), PermissionError),
    (RuntimeError('odd'), OSError), (FileNotFoundError('bucket/key'), FileNotFoundError)]

@pytest.mark.parametrize('error,expected', ERRORS, ids=str)
def test_errors_carry_the_name(error, expected):
    def fail(): raise error
    with pytest.raises(expected, match='s3://a/b'): with_retries(fail, 's3://a/b', tries=1)

def test_no_error_is_its_own_cause(tmp_path, monkeypatch):
    "Whoever looks for the number of an error among its causes would never come to an end"
    store = Store(tmp_path)
    def forbidden(path): raise PermissionError(13, 'Permission denied', path)
    monkeypatch.setattr(store.fs, 'cat_file', forbidden)
    with pytest.raises(PermissionError, match=f'{tmp_path}/a') as e: store.get('a')
    assert e.value.__cause__ is None

def test_what_no_second_try_mends_is_not_tried_again(hurry):
    for e in (FileExistsError('there'), ValueError('odd'), OSError(28, 'No space left on device'),
              OSError(errno.ENAMETOOLONG, 'long')):
        def fail(): raise e
        with pytest.raises(type(e)): with_retries(fail, 'x')
    assert not hurry

@pytest.mark.parametrize('name', ['../b', '/b', 'a/../../b', 'a//b', '.', '', 'a\0', '\udcff'])
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    (tmp_path/'b').write_bytes(b'original')
    store = Store(tmp_path/'out')
    for do in (lambda: store.get(name), lambda: store.put(name, b'1', replace=True)):
        with pytest.raises(ValueError, match='its name'): do()
    assert [o.name for o in tmp_path.iterdir()]==['b'] and (tmp_path/'b').read_bytes()==b'original'

def test_a_link_that_leads_nowhere_is_replaced_when_asked(tmp_path):
    (tmp_path/'a').symlink_to('unmounted/a')
    store = Store(tmp_path)
    with pytest.raises(FileExistsError, match='something else; overwrite replaces it'):
        store.put('a', b'1')
    assert (tmp_path/'a').is_symlink()
    assert store.put('a', b'1', replace=True)=='replaced' and store.get('a')==b'1'
    assert os.listdir(tmp_path)==['a']

def test_a_pipe_or_device_in_the_folder_is_named(tmp_path):
    (tmp_path/'a').symlink_to('/dev/zero')
    os.mkfifo(tmp_path/'b')
    store = Store(tmp_path)
    for name in 'ab':
        for do in (lambda: store.get(name), lambda: store.put(name, b'1')):
            with pytest.raises(FileExistsError, match=f'is no file: remove it.*/{name}'): do()

NOT_ON_WINDOWS = [
    'C:/Users/x/a.png', 'a\\..\\..\\x.png', 'a:b.png', 'con.png', 'x.png ', 'x/a./b.png', 'a"b.png',
    'Lpt¹', 'COM1 .tar.gz', 'nul', 'a\n.png', 'who?.png', '<a>|*.png']

@pytest.mark.parametrize('name', NOT_ON_WINDOWS)
def test_names_that_windows_takes_for_something_else(name, monkeypatch):
    assert misnamed(name) is None
    with monkeypatch.context() as m:
        m.setattr('os.name', 'nt')
        why = misnamed(name),misnamed('box 1/Kön.ig & Co..png'),misnamed('console.png')
    assert why==("has a part that Windows allows no file", None, None)

def test_what_a_killed_writer_left_is_no_object_and_goes_after_an_hour(tmp_path):
    store = Store(tmp_path)
    store.put('box/a.tif', b'1')
    old,new = tmp_path/'box/.b.tif.59a194e5.tmp',tmp_path/'.c.tif.0a1b2c3d.tmp'
    for o in old,new: o.write_bytes(b'half')
    os.utime(old, (0, 0))
    assert [*store.files()]==['box/a.tif']
    store.clear_leftovers()
    assert not old.exists() and new.exists()
