"Stores, manifests, records and plans, without a cluster: folders, and an S3 server on loopback that has bad moods"
import datetime, functools, hashlib, json, os, socket, subprocess, sys, threading, time
from pathlib import Path
import boto3, pandas as pd, pytest
sys.path.insert(0, str(Path(__file__).resolve().parents[2]/'benchmarks'))
from loopback import KEYS, Bucket, moody
from colorized import store as module
from colorized.fleet.store import Lease, Record, Store, _outputs, audit, patiently, photographs, plan, read_record, report

@pytest.fixture(scope='module')
def bucket():
    b = Bucket()
    yield b
    b.close()

@pytest.fixture
def s3(bucket, request):
    "A store of its own for each test, that asks only once, and the bucket"
    bucket.mood = None
    return Store(f'{bucket.url}/{request.node.name}', {**bucket.storage, 'config_kwargs':dict(retries=dict(mode='standard', max_attempts=1))}),bucket

@pytest.fixture
def hurry(monkeypatch):
    "Pauses are noted instead of taken"
    pauses = []
    monkeypatch.setattr(module.time, 'sleep', pauses.append)
    return pauses

def puts(bucket, name): return [status for method,path,status in bucket.log if method=='PUT' and name in path]

# Objects

def test_objects_in_a_bucket_as_another_client_sees_them(s3):
    store,bucket = s3
    assert [store.put('box/ä ö.jpg', b'one'), store.put('box/ä ö.jpg', b'one')]==['new', 'same']
    with pytest.raises(FileExistsError, match='something else.*s3://archive/.*ä ö.jpg'): store.put('box/ä ö.jpg', b'two')
    client = boto3.client('s3', endpoint_url=bucket.storage['endpoint_url'], aws_access_key_id='a', aws_secret_access_key='b', region_name='us-east-1')
    there = client.get_object(Bucket='archive', Key=f"{store.root.split('/', 1)[1]}/box/ä ö.jpg")
    assert there['Body'].read()==store.get('box/ä ö.jpg')==b'one'
    assert store.files()=={'box/ä ö.jpg': (3, there['ETag'].strip('"'))} and store.tag('box/ä ö.jpg')==hashlib.md5(b'one').hexdigest()
    assert store.put('box/ä ö.jpg', b'two', replace=True)=='replaced' and store.get('box/ä ö.jpg')==b'two'

def test_large_object_goes_in_parts(s3, monkeypatch):
    store,bucket = s3
    monkeypatch.setattr(store.fs, 'pipe_file', functools.partial(store.fs.pipe_file, chunksize=5*2**20)) # S3's smallest part; s3fs takes 50 MB
    data = os.urandom(11*2**20)
    assert [store.put('large.tif', data), store.put('large.tif', data)]==['new', 'same'] and store.tag('large.tif').endswith('-3')
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
    assert [store.get(o) for o in names]==[o.encode() for o in names] and sorted(store.files())==sorted(names)
    assert any(status in (500, 503) for status in puts(bucket, 'mood_passes'))
    assert all(puts(bucket, f'passes/{o}').count(200)==1 for o in names)

def test_store_that_stays_away_is_named(s3, hurry):
    store,bucket = s3
    bucket.mood = lambda method,path: 503
    for do in (lambda: store.get('a.jpg'), lambda: store.put('a.jpg', b''), lambda: store.tag('a.jpg')):
        hurry.clear()
        with pytest.raises(OSError, match='s3://archive/.*/a.jpg'): do()
        assert len(hurry)==5 and all(0.5<o/(0.25*2**i)<1.5 for i,o in enumerate(hurry))
    with pytest.raises(OSError, match=store.url): store.files()

def test_forbidden_is_said_at_once(s3):
    store,bucket = s3
    bucket.mood = lambda method,path: 403
    n = len(bucket.log)
    with pytest.raises(PermissionError, match='s3://archive/.*/a.jpg'): store.get('a.jpg')
    assert len(bucket.log)==n+1

def test_nobody_listens_at_the_address(hurry):
    store = Store('s3://archive/x', dict(KEYS, endpoint_url='http://127.0.0.1:9', config_kwargs=dict(connect_timeout=1, retries=dict(mode='standard', max_attempts=1))))
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
    assert len(out)==8 and store.get('box/a')==bytes([winner])*100_000 and os.listdir(tmp_path/'box')==['a']

@pytest.mark.skipif(os.name!='posix', reason='mounts of POSIX')
def test_full_disk_leaves_nothing(tmp_path):
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', tmp_path], capture_output=True).returncode: pytest.skip('may not mount')
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

# What there is to colour

def names(*args, **kwargs): return [o['name'] for o in photographs(*args, **kwargs)[0].values()]

def test_sources_in_a_bucket(s3, tmp_path):
    store,bucket = s3
    for o in ('1/a.tif', '1/b.jpg', '2/a.tif', '2/notes.txt', '2/.thumbs/c.jpg'): store.put(o, o.encode())
    assert names(store.url, store.storage)==['1/a.tif', '1/b.jpg', '2/a.tif']
    assert names(f'{store.url}/*/a.tif', store.storage)==['1/a.tif', '2/a.tif']
    assert names([f'{store.url}/2/a.tif', f'{store.url}/1/b.jpg'], store.storage)==['1/b.jpg', '2/a.tif']
    table = pd.DataFrame(dict(path=['1/a.tif', '2/gone.tif', f'{store.url}/2/a.tif'], sha256=['0'*64, None, None]))
    table.to_parquet(tmp_path/'m.parquet'); store.put('list.parquet', (tmp_path/'m.parquet').read_bytes())
    found,errors = photographs(f'{store.url}/list.parquet', store.storage)
    assert {o['name']: o['sha256'] for o in found.values()}=={'1/a.tif':'0'*64, '2/a.tif':None}
    assert [*errors]==[f'{store.url}/2/gone.tif'] and 'no such file' in errors[f'{store.url}/2/gone.tif']
    assert found[f'{store.url}/1/a.tif']['etag']==hashlib.md5(b'1/a.tif').hexdigest() and found[f'{store.url}/1/a.tif']['bytes']==7

def test_a_manifest_that_knows_all_spares_the_store(s3, tmp_path):
    store,bucket = s3
    pd.DataFrame(dict(path=[f'{store.url}/{i}.jpg' for i in range(100)], bytes=9, etag='e')).to_csv(tmp_path/'m.csv', index=False)
    n = len(bucket.log)
    assert len(photographs(tmp_path/'m.csv', store.storage, root=store.url)[0])==100 and len(bucket.log)==n

def test_sources_that_are_none(tmp_path, s3):
    (tmp_path/'empty').mkdir(); (tmp_path/'m.csv').write_text('file\na.jpg\n'); (tmp_path/'m.parquet').write_bytes(b'no')
    for source,match in ((tmp_path/'nothing', 'nothing: no such file or folder'), (tmp_path/'empty', 'empty: holds no photographs'), (tmp_path/'m.csv', "m.csv: .*column 'path'.*file"),
                         (tmp_path/'m.parquet', 'm.parquet: is not a Parquet table'), (f'{tmp_path}/*.jpg', 'holds no photographs')):
        with pytest.raises(ValueError, match=match): photographs(source)
    for source in ('s3://no-such-bucket/x', f'{s3[0].url}/none'):
        with pytest.raises((ValueError, OSError), match=source): photographs(source, s3[0].storage)
    with pytest.raises(FileNotFoundError, match='none.csv'): photographs(f'{s3[0].url}/none.csv', s3[0].storage)

def test_names_that_no_output_can_bear(s3, tmp_path):
    "A slip of the uploader in a bucket, a way out in a list, a file of an old server"
    store,bucket = s3
    client = boto3.client('s3', endpoint_url=bucket.storage['endpoint_url'], aws_access_key_id='a', aws_secret_access_key='b', region_name='us-east-1')
    prefix = store.root.split('/', 1)[1]
    for o in ('good.jpg', '/tmp/escaped.jpg', 'box//b.jpg'): client.put_object(Bucket='archive', Key=f'{prefix}/{o}', Body=b'x')
    found,errors = photographs(store.url, store.storage)
    assert [o['name'] for o in found.values()]==['good.jpg'] and len(errors)==2 and all('empty or only dots' in o for o in errors.values())
    pd.DataFrame(dict(path=[f'{store.url}/x/../../up.jpg', f'{store.url}/good.jpg'], bytes=1, etag='e')).to_csv(tmp_path/'m.csv', index=False)
    found,errors = photographs(tmp_path/'m.csv', store.storage, root=store.url)
    assert [o['name'] for o in found.values()]==['good.jpg'] and 'up.jpg: its name has a part that is empty or only dots' in next(iter(errors.values()))
    (tmp_path/'in').mkdir(); (tmp_path/'in/a.jpg').touch(); open(os.fsencode(tmp_path/'in')+b'/M\xfcnchen.jpg', 'w').close()
    found,errors = photographs(tmp_path/'in')
    assert [o['name'] for o in found.values()]==['a.jpg'] and r'M\udcfcnchen.jpg: its name is not UTF-8' in next(iter(errors.values()))
    record = Record(Store(tmp_path/'out'), every=1e9)
    for k,o in errors.items(): record.add(dict(path=k, error=o))
    record.add(dict(path='b', error='M\udcfcnchen'))
    assert record.flush() and r'M\udcfcnchen.jpg' in report(tmp_path/'out')

def test_a_folder_has_one_name(tmp_path):
    (tmp_path/'in').mkdir(); (tmp_path/'in/a.jpg').touch(); (tmp_path/'link').symlink_to(tmp_path/'in')
    assert Store(tmp_path/'link').url==Store(tmp_path/'in').url and photographs(tmp_path/'link')==photographs(tmp_path/'in')
    assert Store('s3a://archive/x', KEYS).url=='s3://archive/x'

# The record

made = dict(seed=0, model_sha256='m'*64, settings_sha256='s'*64)

def world(folder):
    "Three photographs, coloured and recorded"
    store = Store(folder/'out'); record = Record(store, every=1e9)
    for k in 'abc':
        (folder/'in').mkdir(exist_ok=True); (folder/f'in/{k}.jpg').write_bytes(k.encode())
        store.put(f'{k}.jpg', 2*k.encode())
    photos,_ = photographs(folder/'in')
    for url,o in photos.items():
        record.add(dict(path=url, etag=o['etag'], source_bytes=1, source_sha256='x', output=o['name'], output_bytes=2, output_sha256=hashlib.sha256(2*o['name'][:1].encode()).hexdigest(), how='new',
                        attempt=1, tone='neutral', seconds=1., **made))
    record.flush()
    return photos,store

def test_all_is_done(tmp_path):
    photos,store = world(tmp_path)
    todo,done,refused = plan(photos, store, made)
    assert (todo, len(done), refused)==([], 3, [])
    found = audit(store.url, deep=True)
    assert found.pop('done')==['a.jpg', 'b.jpg', 'c.jpg'] and not any(found.values())
    assert '3 photographs are coloured, 0 failed' in report(store.url) and '3 neutral' in report(store.url)

def test_what_is_left(tmp_path):
    photos,store = world(tmp_path)
    (tmp_path/'out/a.jpg').unlink(); os.utime(tmp_path/'in/b.jpg', (1, 1)); (tmp_path/'out/c.jpg').write_bytes(b'longer')
    photos,_ = photographs(tmp_path/'in')
    todo,done,refused = plan(photos, store, made)
    assert [(o['row']['output'], o['lost'], o.get('was', {}).get('source_sha256'), o['row']['attempt']) for o in todo]==[('a.jpg', True, None, 2), ('b.jpg', False, 'x', 2)] and not done
    assert len(refused)==1 and 'c.jpg: exists already and is not what the record says; overwrite replaces it' in refused[0]['error']
    other = dict(made, seed=7)
    (tmp_path/'in/b.jpg').write_bytes(b'b')
    _,_,refused = plan(photographs(tmp_path/'in')[0], store, other)
    assert 'b.jpg: exists already and was made with seed 0 (now 7); overwrite' in refused[0]['error']
    todo,_,refused = plan(photographs(tmp_path/'in')[0], store, other, overwrite=True)
    assert len(todo)==3 and all(o['replace'] for o in todo) and not refused

def test_an_original_that_comes_later_finds_another_name(tmp_path):
    photos,store = world(tmp_path)
    given = dict(zip(photos, ('d.jpg', 'b.jpg', 'c.jpg'))) # as if a.jpg had been another file once, whose output was d.jpg
    (tmp_path/'in/d.jpg').write_bytes(b'd')
    assert [*_outputs(photographs(tmp_path/'in')[0], None, given).values()]==['d.jpg', 'b.jpg', 'c.jpg', 'd.jpg.jpg']

def test_another_format_means_other_files(tmp_path):
    photos,store = world(tmp_path)
    todo,done,refused = plan(photos, store, made, format='PNG')
    assert [o['row']['output'] for o in todo]==['a.png', 'b.png', 'c.png'] and not done and not refused
    assert len(plan(photos, store, made, format='JPEG')[1])==3

def test_a_lost_map_is_made_again(tmp_path):
    photos,store = world(tmp_path)
    record = Record(store, every=1e9)
    for row in read_record(store).to_pylist(): record.add(dict(row, uncertainty=1.))
    record.flush()
    for k in 'ab': store.put(f'{k}.jpg.uncertainty.png', b'map')
    todo,done,_ = plan(photos, store, made, more='.uncertainty.png')
    assert [(o['row']['output'], o['lost']) for o in todo]==[('c.jpg', True)] and len(done)==2
    assert audit(store)['lost']==['c.jpg.uncertainty.png'] and not audit(store)['unknown']

def test_audit_finds_it(tmp_path):
    photos,store = world(tmp_path)
    (tmp_path/'out/a.jpg').unlink(); (tmp_path/'out/b.jpg').write_bytes(b'bx'); (tmp_path/'out/stray.jpg').touch()
    record = Record(store, every=1e9); record.add(dict(path='c', output='c.jpg', output_bytes=2, how='new')); record.add(dict(path='d', error='d: broken')); record.flush()
    assert audit(store)==dict(done=['a.jpg', 'b.jpg', 'c.jpg'], failed=['d'], lost=['a.jpg'], changed=[], twice=['c.jpg'], unknown=['stray.jpg'])
    assert audit(store, deep=True)['changed']==['b.jpg', 'c.jpg'] # the last row of c has no hash
    assert '- d: broken' in report(store)

def test_damaged_shard_is_named(tmp_path):
    _,store = world(tmp_path)
    store.put('record/99.parquet', b'PAR1 and then nothing')
    with pytest.raises(ValueError, match='record/99.parquet: is no shard'): read_record(store)

def test_lease_of_another_machine(tmp_path):
    store = Store(tmp_path)
    note = tmp_path/Lease.name; note.parent.mkdir()
    note.write_text(json.dumps(dict(pid=1, host=f'not-{socket.gethostname()}', start='1', run='theirs')))
    with pytest.raises(ValueError, match='run theirs is at work on it .process 1 on not-'): Lease(store, 'ours')
    os.utime(note, (note.stat().st_mtime-150,)*2)
    lease = Lease(store, 'ours'); lease.renew()
    assert json.loads(note.read_text())['run']=='ours'
    lease.release(); assert not note.exists()

def test_lease_lives_in_silence_until_another_run_takes_over(tmp_path, monkeypatch):
    monkeypatch.setattr(Lease, 'every', 0.02)
    lease,note = Lease(Store(tmp_path), 'ours'),tmp_path/Lease.name
    os.utime(note, (1, 1))
    for _ in range(500):
        if note.stat().st_mtime>1: break
        time.sleep(0.01)
    assert note.stat().st_mtime>1 and not lease.error
    theirs = json.dumps(dict(pid=1, host='another', start='1', run='theirs'))
    for _ in range(500):
        if lease.error: break
        note.write_text(theirs); time.sleep(0.05)
    assert 'another run has taken over' in lease.error
    lease.release(); assert note.read_text()==theirs

@pytest.mark.parametrize('word,stale', [('mtime', True), ('LastModified', True), ('last_modified', True), ('updated', True), (None, False)])
def test_age_of_a_note_in_the_words_of_each_store(word, stale, tmp_path, monkeypatch):
    "As of folders, S3, Azure, Google; a store that gives no time has no old notes"
    store = Store(tmp_path)
    store.put(Lease.name, json.dumps(dict(pid=1, host='another', start='1', run='theirs')).encode())
    monkeypatch.setattr(store.fs, 'info', lambda path: {word: datetime.datetime.now(datetime.timezone.utc)-datetime.timedelta(seconds=150)} if word else {})
    if stale: Lease(store, 'ours').release()
    else:
        with pytest.raises(ValueError, match='theirs is at work'): Lease(store, 'ours')

def test_errors_carry_the_name():
    for e,want in ((OSError(5, 'Input/output error'), OSError), (PermissionError('Forbidden'), PermissionError), (RuntimeError('odd'), OSError), (FileNotFoundError('bucket/key'), FileNotFoundError)):
        def fail(): raise e
        with pytest.raises(want, match='s3://a/b'): patiently(fail, 's3://a/b', tries=1)
