"The record, the lease, and what is left to do"
import datetime, json, os, socket, threading, time
import pytest
from fleet_tools import made, until, world
from colorized.batch.names import assign_outputs
from colorized.fleet.audit import audit, report
from colorized.fleet.record import RECORD, Lease, Record, plan, read_record
from colorized.fleet.sources import photographs
from colorized.fleet.store import Store

def test_all_is_done(tmp_path):
    photos,store = world(tmp_path)
    todo,done,refused = plan(photos, store, made)
    assert (todo, len(done), refused)==([], 3, [])
    found = audit(store.url, deep=True)
    assert found.pop('done')==['a.jpg', 'b.jpg', 'c.jpg'] and not any(found.values())
    said = report(store.url)
    assert '3 photographs are colored, 0 failed' in said and '3 neutral' in said

def test_what_is_left(tmp_path):
    photos,store = world(tmp_path)
    (tmp_path/'out/a.jpg').unlink()
    os.utime(tmp_path/'in/b.jpg', (1, 1))
    (tmp_path/'out/c.jpg').write_bytes(b'longer')
    photos,_ = photographs(tmp_path/'in')
    todo,done,refused = plan(photos, store, made)
    assert [(o['row']['output'], o['lost']) for o in todo]==[('a.jpg', True), ('b.jpg', False)]
    assert 'was' not in todo[0] and todo[1]['was']['source_sha256']=='x' and not done
    assert [o['row']['attempt'] for o in todo]==[2, 2]
    why = 'c.jpg: exists already and is not what the record says; overwrite replaces it'
    assert len(refused)==1 and why in refused[0]['error']

def test_other_settings(tmp_path):
    photos,store = world(tmp_path)
    other = dict(made, seed=7)
    _,_,refused = plan(photos, store, other)
    assert len(refused)==3
    why = 'b.jpg: exists already and was made with seed 0 (now 7); overwrite'
    assert why in refused[1]['error']
    todo,_,refused = plan(photos, store, other, overwrite=True)
    assert len(todo)==3 and all(o['replace'] and 'was' not in o for o in todo) and not refused
    another = dict(made, model_sha256='n'*64)
    error = plan(photos, store, another)[2][0]['error']
    assert "was made with model mmmmmmmmmmmm… (now nnnnnnnnnnnn…)" in error

def test_resume_off_asks_nobody(tmp_path):
    photos,store = world(tmp_path)
    (tmp_path/'out/a.jpg').unlink()
    todo,done,refused = plan(photos, store, made, resume=False)
    assert [o['row']['output'] for o in todo]==['a.jpg'] and not done
    assert all('(resume is off); overwrite replaces it' in o['error'] for o in refused)
    assert len(plan(photos, store, made, resume=False, overwrite=True)[0])==3

def test_tags_of_outputs_count_in_a_bucket(s3, tmp_path):
    "where another object of the same size is another object"
    store,_ = s3
    store.put('a.jpg', b'one')
    photos = {'x/a.jpg': dict(name='a.jpg', bytes=1, etag='e')}
    record = Record(store, every=1e9)
    row = dict(path='x/a.jpg', etag='e', output='a.jpg', output_bytes=3, how='new', **made)
    record.add(dict(row, output_etag=store.tag('a.jpg')))
    record.flush()
    assert plan(photos, store, made)[1]==['x/a.jpg'] and not audit(store)['changed']
    store.put('a.jpg', b'two', replace=True)
    assert 'is not what the record says' in plan(photos, store, made)[2][0]['error']
    assert audit(store)['changed']==['a.jpg']

def test_an_original_that_comes_later_finds_another_name(tmp_path):
    photos,store = world(tmp_path)
    # as if a.jpg had been another file once, whose output was d.jpg
    given = dict(zip(photos, ('d.jpg', 'b.jpg', 'c.jpg')))
    (tmp_path/'in/d.jpg').write_bytes(b'd')
    found = {k: o['name'] for k,o in photographs(tmp_path/'in')[0].items()}
    outputs = assign_outputs(found, None, given)
    assert [*outputs.values()]==['d.jpg', 'b.jpg', 'c.jpg', 'd.jpg.jpg']

def test_the_record_gives_the_names(tmp_path):
    photos,store = world(tmp_path)
    record = Record(store, every=1e9)
    url = next(iter(photos))
    row = dict(path=url, etag=photos[url]['etag'], output='a.old.jpg', output_bytes=3, how='new')
    record.add(dict(row, **made))
    record.flush()
    store.put('a.old.jpg', b'old')
    (tmp_path/'in/a.old.jpg').write_bytes(b'late')
    todo,done,_ = plan(photographs(tmp_path/'in')[0], store, made)
    assert [o['row']['output'] for o in todo]==['a.old.jpg.jpg'] and len(done)==3

def record_of(store, *rows):
    record = Record(store, every=1e9)
    for row in rows: record.add(dict(dict(etag='e', output_bytes=1, how='new', **made), **row))
    record.flush()

def outputs_of(store, photos):
    todo,done,refused = plan(photos, store, made)
    named = {o['name']: o['row']['output'] for o in todo}
    return named | {o['path']: o['output'] for o in refused} | dict.fromkeys(done)

@pytest.mark.parametrize('output', [
    '../in/b.jpg', '{in}/b.jpg', '{in}/a.jpg', 'b.jpg', './a.jpg', 'in//a.jpg', 'a\0.jpg',
    'a/b.jpg', 'x/a.jpg', 'a.jpg/../../in/b.jpg', 'a.jpg.uncertainty.png', 'ab.jpg', ''])
def test_the_record_is_not_trusted_with_names(tmp_path, output):
    "Anybody may have written it"
    photos,store = photographs(world(tmp_path)[1].url.replace('out', 'in'))[0],Store(tmp_path/'2')
    url = f'{tmp_path}/in/a.jpg'
    record_of(store, dict(path=url, output=output.replace('{in}', f'{tmp_path}/in')))
    assert outputs_of(store, photos)[url]=='a.jpg'

def test_what_two_got_belongs_to_the_one_that_was_colored_last(tmp_path):
    "as lists with other folders in common leave it"
    photos = {f'b://{k}/a.jpg': dict(name=f'{k}/a.jpg', bytes=1, etag='e') for k in 'xy'}
    store = Store(tmp_path)
    record_of(store, *(dict(path=k, output='a.jpg') for k in photos))
    assert outputs_of(store, photos)=={'b://x/a.jpg': 'x/a.jpg', 'b://y/a.jpg': 'a.jpg'}

def test_another_format_means_other_files(tmp_path):
    photos,store = world(tmp_path)
    todo,done,refused = plan(photos, store, made, format='PNG')
    assert [o['row']['output'] for o in todo]==['a.png', 'b.png', 'c.png']
    assert not done and not refused
    assert len(plan(photos, store, made, format='JPEG')[1])==3

@pytest.mark.parametrize('more', ['', '.uncertainty.png'])
def test_an_original_that_a_link_makes_an_output_is_never_replaced(tmp_path, more):
    "neither by an output nor by the map beside it; the others are made"
    for o in ('1/a.jpg', f'2/a.jpg{more}', '3/a.jpg'):
        (tmp_path/'in'/o).parent.mkdir(parents=True)
        (tmp_path/'in'/o).touch()
    store = Store(tmp_path/'out')
    store.put('3/a.jpg', b'1')
    (tmp_path/'out/1').symlink_to(tmp_path/'in/2')
    photos,_ = photographs(tmp_path/'in')
    todo,_,refused = plan(photos, store, made, overwrite=True, more=more)
    last = [f'2/a.jpg{more}'+'.png'*bool(more), '3/a.jpg']
    assert [o['row']['output'] for o in todo]==last
    why = f"is the photograph {tmp_path}/in/2/a.jpg{more}: an original is never replaced"
    assert [o['error'] for o in refused]==[f"{tmp_path}/out/1/a.jpg{more}: {why}"]

def test_a_lost_map_is_made_again(tmp_path):
    photos,store = world(tmp_path)
    record = Record(store, every=1e9)
    for row in read_record(store).to_pylist(): record.add(dict(row, uncertainty=1.))
    record.flush()
    for k in 'ab': store.put(f'{k}.jpg.uncertainty.png', b'map')
    todo,done,_ = plan(photos, store, made, more='.uncertainty.png')
    assert [(o['row']['output'], o['lost']) for o in todo]==[('c.jpg', True)] and len(done)==2
    assert audit(store)['lost']==['c.jpg.uncertainty.png'] and not audit(store)['unknown']

def test_what_is_done_but_was_refused_last_is_checked(tmp_path):
    "Else the audit would call it failed for ever"
    photos,store = world(tmp_path)
    url = next(iter(photos))
    record = Record(store, every=1e9)
    record.add(dict(path=url, output='a.jpg', error='a.jpg: exists already', **made))
    record.flush()
    assert audit(store)['failed']==[url]
    todo,done,_ = plan(photos, store, made)
    assert [o['name'] for o in todo]==[url] and len(done)==2
    assert todo[0]['was']['output_bytes']==2 and not todo[0]['lost']

def test_shards(tmp_path):
    "A shard is written when it is full or late, never twice; columns can be chosen"
    record = Record(Store(tmp_path), every=1e9, most=2)
    for i in range(5): record.add(dict(path=f'{i}', attempt=1))
    assert len(list((tmp_path/'record').iterdir()))==2 and len(record.rows)==1
    assert record.flush() and record.flush()
    names = sorted(o.name for o in (tmp_path/'record').iterdir())
    assert names==[f'{record.run}-{i:05}.parquet' for i in range(3)]
    assert read_record(tmp_path)['path'].to_pylist()==['0', '1', '2', '3', '4']
    assert read_record(tmp_path).schema.names==list(RECORD)
    assert read_record(tmp_path, columns=['error', 'path']).schema.names==['path', 'error']
    late = Record(Store(tmp_path), every=0)
    late.add(dict(path='5'))
    assert not late.rows and late.run>record.run
    assert read_record(tmp_path)['path'].to_pylist()[-1]=='5'

def test_damaged_shard_is_named(tmp_path):
    _,store = world(tmp_path)
    store.put('record/99.parquet', b'PAR1 and then nothing')
    with pytest.raises(ValueError, match='record/99.parquet: is no shard'): read_record(store)

def write_shard(folder, table, **how):
    import pyarrow.parquet as pq
    (folder/'record').mkdir()
    pq.write_table(table, folder/'record/0.parquet', compression='zstd', **how)
    return (folder/'record/0.parquet').stat().st_size

def columns_of(n, **more):
    "A table of the record's columns; those not given are empty"
    import pyarrow as pa
    return pa.table({k: more.get(k, pa.nulls(n, v)) for k,v in RECORD.items()})

POOLS = [] # never freed: Arrow's threads return memory after a test has ended, to the pool it is of

@pytest.fixture
def pool():
    "Counts what is allocated for tables"
    import pyarrow as pa
    was = pa.default_memory_pool()
    POOLS.append(pa.proxy_memory_pool(was))
    pa.set_memory_pool(POOLS[-1])
    yield POOLS[-1]
    pa.set_memory_pool(was)

@pytest.mark.parametrize('how', ['dictionary', 'plain', 'rows', 'binary', 'list'])
def test_a_shard_fills_no_memory(tmp_path, how, request):
    import pyarrow as pa
    words = pa.array(['x'*300_000]).take(pa.array([0]*1000))
    table = dict(
        dictionary=lambda: columns_of(1000, warnings=words),
        plain=lambda: columns_of(1000, tone=words),
        rows=lambda: columns_of(10**6),
        binary=lambda: columns_of(1000, warnings=words.cast('binary')),
        list=lambda: columns_of(1, error=pa.array([['x']])))
    assert write_shard(tmp_path, table[how](), use_dictionary=['warnings'])<100_000
    pool = request.getfixturevalue('pool')
    with pytest.raises(ValueError, match='record/0.parquet: is no shard of a record'):
        read_record(tmp_path, columns=['path', 'warnings', 'tone', 'error'])
    assert pool.max_memory()<30*10**6

def test_rows_that_say_too_little_count_for_nothing(tmp_path):
    _,store = world(tmp_path)
    first = report(store)
    rows = read_record(store).to_pylist()
    gone = [dict(rows[0], **{k: None}) for k in ('path', 'run', 'finished')]
    import pyarrow as pa, pyarrow.parquet as pq
    table = pa.Table.from_pylist(gone, pa.schema(RECORD.items()))
    pq.write_table(table, tmp_path/'out/record/9.parquet')
    assert read_record(store, columns=['output'])['output'].to_pylist()==['a.jpg', 'b.jpg', 'c.jpg']
    assert report(store)==first
    (tmp_path/'out/record/9.parquet').unlink()
    pq.write_table(pa.Table.from_pylist([dict(rows[0], output=None)], table.schema),
                   tmp_path/'out/record/9.parquet')
    assert audit(store)['done']==['a.jpg', 'b.jpg', 'c.jpg'] and '4 |' in report(store)

# The lease

@pytest.mark.parametrize('note', [
    b'', b'null', b'[1]', b'{', b'{"host": "other", "pid": 1, "start": ""}', b'['*10**5, b'\xff'])
def test_notes_that_say_nothing(tmp_path, note):
    store = Store(tmp_path)
    store.put(Lease.name, note)
    with pytest.raises(ValueError, match='run unknown is at work on it .*remove record/RUNNING'):
        Lease(store, 'ours')

def test_of_two_that_find_an_old_note_one_goes_on(tmp_path, monkeypatch):
    store,barrier,age = Store(tmp_path),threading.Barrier(2),Lease._age
    store.put(Lease.name, note_of('elsewhere').encode())
    os.utime(tmp_path/Lease.name, (1, 1))
    def both(self):
        found = age(self)
        barrier.wait(10)
        return found
    monkeypatch.setattr(Lease, '_age', both)
    ends = []
    def go(run):
        try: ends.append(Lease(store, run))
        except ValueError as e: ends.append(str(e))
    threads = [threading.Thread(target=go, args=(o,)) for o in ('one', 'two')]
    for o in threads: o.start()
    for o in threads: o.join()
    lease,error = sorted(ends, key=lambda o: isinstance(o, str))
    assert 'is at work on it' in error and 'since the same moment' in error
    lease.release()
    assert not (tmp_path/Lease.name).exists()

def note_of(host, **more):
    return json.dumps(dict(pid=1, host=host, start='1', run='theirs', **more))

def test_lease_of_another_machine(tmp_path):
    store = Store(tmp_path)
    note = tmp_path/Lease.name
    note.parent.mkdir()
    note.write_text(note_of(f'not-{socket.gethostname()}'))
    busy = 'run theirs is at work on it .process 1 on not-.*; if that .* remove record/RUNNING'
    for age in (0, 110):
        os.utime(note, (time.time()-age,)*2)
        with pytest.raises(ValueError, match=busy): Lease(store, 'ours')
    os.utime(note, (time.time()-130,)*2)
    lease = Lease(store, 'ours')
    lease.renew()
    assert json.loads(note.read_text())['run']=='ours'
    lease.release()
    assert not note.exists()

def test_lease_lives_in_silence_until_another_run_takes_over(tmp_path, monkeypatch):
    monkeypatch.setattr(Lease, 'every', 0.02)
    lease,note = Lease(Store(tmp_path), 'ours'),tmp_path/Lease.name
    os.utime(note, (1, 1))
    until(lambda: note.stat().st_mtime>1, 10)
    assert not lease.error
    theirs = note_of('another')
    for _ in range(500):
        if lease.error: break
        note.write_text(theirs)
        time.sleep(0.05)
    assert 'another run has taken over' in lease.error
    lease.release()
    assert note.read_text()==theirs

WORDS = [('mtime', True), ('LastModified', True), ('last_modified', True), ('updated', True),
         (None, False)]

@pytest.mark.parametrize('word,stale', WORDS)
def test_age_of_a_note_in_the_words_of_each_store(word, stale, tmp_path, monkeypatch):
    "As of folders, S3, Azure, Google; a store that gives no time has no old notes"
    store = Store(tmp_path)
    store.put(Lease.name, note_of('another').encode())
    then = datetime.datetime.now(datetime.timezone.utc)-datetime.timedelta(seconds=150)
    monkeypatch.setattr(store.fs, 'info', lambda path: {word: then} if word else {})
    if stale: Lease(store, 'ours').release()
    else:
        with pytest.raises(ValueError, match='theirs is at work'): Lease(store, 'ours')
