"What there is to color: folders, patterns, lists and manifests, on disks and in a bucket"
import hashlib, os
import pandas as pd, pytest
from fleet_tools import client_of
from benchmarks.support.loopback import KEYS
from colorized.fleet.audit import report
from colorized.fleet.record import Record
from colorized.fleet.sources import photographs
from colorized.fleet.store import Store

def names(*args, **kwargs): return [o['name'] for o in photographs(*args, **kwargs)[0].values()]

def test_sources_in_a_bucket(s3, tmp_path):
    store,bucket = s3
    url,storage = store.url,store.storage
    for o in ('1/a.tif', '1/b.jpg', '2/a.tif', '2/notes.txt', '2/.thumbs/c.jpg'):
        store.put(o, o.encode())
    assert names(url, storage)==['1/a.tif', '1/b.jpg', '2/a.tif']
    assert names(f'{url}/*/a.tif', storage)==['1/a.tif', '2/a.tif']
    assert names([f'{url}/2/a.tif', f'{url}/1/b.jpg'], storage)==['1/b.jpg', '2/a.tif']
    paths = ['1/a.tif', '2/gone.tif', f'{url}/2/a.tif']
    pd.DataFrame(dict(path=paths, sha256=['0'*64, None, None])).to_parquet(tmp_path/'m.parquet')
    store.put('list.parquet', (tmp_path/'m.parquet').read_bytes())
    found,errors = photographs(f'{url}/list.parquet', storage)
    assert {o['name']: o['sha256'] for o in found.values()}=={'1/a.tif':'0'*64, '2/a.tif':None}
    assert [*errors]==[f'{url}/2/gone.tif'] and 'no such file' in errors[f'{url}/2/gone.tif']
    first = found[f'{url}/1/a.tif']
    assert first['etag']==hashlib.md5(b'1/a.tif').hexdigest() and first['bytes']==7

def test_a_manifest_that_knows_all_spares_the_store(s3, tmp_path):
    store,bucket = s3
    paths = [f'{store.url}/{i}.jpg' for i in range(100)]
    pd.DataFrame(dict(path=paths, bytes=9, etag='e')).to_csv(tmp_path/'m.csv', index=False)
    n = len(bucket.log)
    assert len(photographs(tmp_path/'m.csv', store.storage, root=store.url)[0])==100
    assert len(bucket.log)==n

def test_tables_as_spreadsheets_leave_them(tmp_path):
    "Rows without a path are passed over; what is all digits is a text all the same"
    for o in ('1920', '1921'): (tmp_path/o).write_bytes(b'x')
    table = tmp_path/'m.csv'
    table.write_text(f'path,sha256,etag,bytes\n1920,{"1"*64},007,1\n,,,\n" ",,,\n1921,,,\n')
    found,errors = photographs(table)
    rows = {o['name']: o for o in found.values()}
    assert not errors and [*rows]==['1920', '1921']
    assert (rows['1920']['sha256'], rows['1920']['etag'], rows['1920']['bytes'])==('1'*64, '007', 1)
    pd.DataFrame(dict(path=['1920', None, ''])).to_parquet(tmp_path/'m.parquet')
    assert names(tmp_path/'m.parquet')==['1920']

def test_columns_of_other_types(tmp_path):
    "What a record could not hold would end the run, after the work"
    (tmp_path/'a.jpg').write_bytes(b'x')
    table = tmp_path/'m.parquet'
    def read(**columns):
        pd.DataFrame(dict(path=['a.jpg'], **columns)).to_parquet(table)
        return next(iter(photographs(table)[0].values()))
    assert read(etag=[7], bytes=['1'])['etag']=='7' and read(etag=['e'], bytes=['1'])['bytes']==1
    assert read(sha256=[None])['sha256'] is None
    for k,v in dict(sha256=hashlib.sha256(b'x').digest(), bytes='1 kB', etag=[['e']]).items():
        with pytest.raises(ValueError, match=f'm.parquet: its column {k} is not of type'):
            read(**{k: [v]})
    (tmp_path/'m.csv').write_text('path,path\na.jpg,b.jpg\n')
    with pytest.raises(ValueError, match='m.csv: its column path .*2 times'):
        photographs(tmp_path/'m.csv')

def test_a_folder_in_a_list_is_an_error_of_its_own(tmp_path, s3):
    (tmp_path/'in/box').mkdir(parents=True)
    (tmp_path/'in/box/a.jpg').touch()
    (tmp_path/'in/b.jpg').touch()
    found,errors = photographs([tmp_path/'in/box', tmp_path/'in/b.jpg'])
    assert [o['name'] for o in found.values()]==['b.jpg']
    assert [*errors.values()]==[f"{tmp_path/'in/box'}: is a folder, and a list names photographs"]
    store,_ = s3
    for o in ('box/a.jpg', 'b.jpg'): store.put(o, b'x')
    found,errors = photographs([f'{store.url}/box', f'{store.url}/b.jpg'], store.storage)
    assert [o['name'] for o in found.values()]==['b.jpg'] and 'is a folder' in errors.popitem()[1]

def test_sources_that_are_none(tmp_path, s3):
    (tmp_path/'empty').mkdir()
    (tmp_path/'m.csv').write_text('file\na.jpg\n')
    (tmp_path/'m.parquet').write_bytes(b'no')
    for source,match in (
            (tmp_path/'nothing', 'nothing: no such file or folder'),
            (tmp_path/'empty', 'empty: holds no photographs'),
            (tmp_path/'m.csv', "m.csv: .*column 'path'.*file"),
            (tmp_path/'m.parquet', 'm.parquet: is not a Parquet table'),
            (f'{tmp_path}/*.jpg', 'holds no photographs')):
        with pytest.raises(ValueError, match=match): photographs(source)
    for source in ('s3://no-such-bucket/x', f'{s3[0].url}/none'):
        with pytest.raises((ValueError, OSError), match=source): photographs(source, s3[0].storage)
    with pytest.raises(FileNotFoundError, match='none.csv'):
        photographs(f'{s3[0].url}/none.csv', s3[0].storage)

def test_names_that_no_output_can_bear(s3, tmp_path):
    "A slip of the uploader in a bucket, a way out in a list"
    store,bucket = s3
    client,prefix = client_of(bucket),store.root.split('/', 1)[1]
    for o in ('good.jpg', '/tmp/escaped.jpg', 'box//b.jpg'):
        client.put_object(Bucket='archive', Key=f'{prefix}/{o}', Body=b'x')
    found,errors = photographs(store.url, store.storage)
    assert [o['name'] for o in found.values()]==['good.jpg']
    assert len(errors)==2 and all('empty or only dots' in o for o in errors.values())
    paths = [f'{store.url}/x/../../up.jpg', f'{store.url}/good.jpg']
    pd.DataFrame(dict(path=paths, bytes=1, etag='e')).to_csv(tmp_path/'m.csv', index=False)
    found,errors = photographs(tmp_path/'m.csv', store.storage, root=store.url)
    assert [o['name'] for o in found.values()]==['good.jpg']
    error = next(iter(errors.values()))
    assert 'up.jpg: its name has a part that is empty or only dots' in error

def test_names_that_are_not_utf8(tmp_path):
    "of an old server"
    (tmp_path/'in').mkdir()
    (tmp_path/'in/a.jpg').touch()
    open(os.fsencode(tmp_path/'in')+b'/M\xfcnchen.jpg', 'w').close()
    found,errors = photographs(tmp_path/'in')
    assert [o['name'] for o in found.values()]==['a.jpg']
    assert r'M\udcfcnchen.jpg: its name is not UTF-8' in next(iter(errors.values()))
    record = Record(Store(tmp_path/'out'), every=1e9)
    for k,o in errors.items(): record.add(dict(path=k, error=o))
    record.add(dict(path='b', error='M\udcfcnchen'))
    assert record.flush() and r'M\udcfcnchen.jpg' in report(tmp_path/'out')

def test_files_that_lie_elsewhere(tmp_path):
    "have no name below the root; photographs with nothing in common have none at all"
    for o in ('in/a.jpg', 'in/box/b.jpg', 'other/c.jpg'):
        (tmp_path/o).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path/o).touch()
    listed = [tmp_path/'in/a.jpg', tmp_path/'other/c.jpg']
    found,errors = photographs(listed, root=tmp_path/'in')
    assert [o['name'] for o in found.values()]==['a.jpg']
    (error,) = errors.values()
    assert error.endswith(f"does not lie in {tmp_path/'in'}, so its output has no name (root)")
    assert names(listed)==['in/a.jpg', 'other/c.jpg']
    assert names(tmp_path/'in/box/b.jpg')==['b.jpg'] # a single file

def test_buckets_have_nothing_in_common(tmp_path):
    paths = ['s3://one/a.jpg', 's3://two/b.jpg']
    pd.DataFrame(dict(path=paths, bytes=1, etag='e')).to_csv(tmp_path/'m.csv', index=False)
    found,errors = photographs(tmp_path/'m.csv', KEYS)
    assert not found and set(errors)==set(paths)
    found,errors = photographs(tmp_path/'m.csv', KEYS, root='s3://one')
    assert [o['name'] for o in found.values()]==['a.jpg'] and set(errors)=={paths[1]}

def test_a_folder_has_one_name(tmp_path):
    (tmp_path/'in').mkdir()
    (tmp_path/'in/a.jpg').touch()
    (tmp_path/'link').symlink_to(tmp_path/'in')
    assert Store(tmp_path/'link').url==Store(tmp_path/'in').url
    assert photographs(tmp_path/'link')==photographs(tmp_path/'in')
    assert Store('s3a://archive/x', KEYS).url=='s3://archive/x'

def linked_scans(folder):
    "One photograph, links to others on a disk that is not there, and what is none"
    for o in ('in/box/a.jpg', 'in/b.dng', 'in/notes', 'in/.hidden/c.jpg', 'disk/d.jpg'):
        (folder/o).parent.mkdir(parents=True, exist_ok=True)
        (folder/o).write_bytes(b'x')
    (folder/'in/d.jpg').symlink_to(folder/'disk/d.jpg')
    (folder/'in/gone.jpg').symlink_to(folder/'unmounted/gone.jpg')
    (folder/'in/gone.txt').symlink_to(folder/'unmounted/gone.txt')
    (folder/'in/linked').symlink_to(folder/'disk')
    (folder/'in/.linked').symlink_to(folder/'disk')
    return folder/'in'

def test_nothing_vanishes_without_a_word(tmp_path):
    "Dead links are errors; linked folders and other files are counted; a link to a file is good"
    src,ignored = linked_scans(tmp_path),{}
    found,errors = photographs(src, ignored=ignored)
    assert sorted(o['name'] for o in found.values())==['box/a.jpg', 'd.jpg']
    assert found[f'{src}/d.jpg']['bytes']==1
    gone = f'{src}/gone.jpg'
    assert errors=={gone: f'{gone}: is a link to a file that is not there'}
    kinds = {'b.dng':'.dng', 'notes':'without a suffix', 'gone.txt':'.txt',
             'linked':'linked folders'}
    assert ignored=={f'{src}/{k}': v for k,v in kinds.items()}
    ignored.clear()
    found,errors = photographs(f'{src}/*', ignored=ignored)
    assert [o['name'] for o in found.values()]==['d.jpg'] and [*errors]==[gone]
    assert ignored=={f'{src}/{k}': v for k,v in kinds.items()}
    (src/'box/a.jpg').unlink()
    (src/'d.jpg').unlink()
    assert photographs(src)==({}, {gone: f'{gone}: is a link to a file that is not there'})

@pytest.mark.skipif(os.name!='posix', reason='pipes of POSIX')
def test_a_folder_that_cannot_be_listed_is_an_error_of_its_own(tmp_path, monkeypatch):
    "The others are colored; that nothing can be listed ends the run"
    for o in ('a', 'locked/b', 'z'):
        (tmp_path/o).mkdir(parents=True)
        (tmp_path/o/'photo.jpg').write_bytes(b'x')
    real = os.scandir
    def scandir(path):
        if os.path.basename(path)=='locked':
            raise PermissionError(13, 'Permission denied', str(path))
        return real(path)
    monkeypatch.setattr(os, 'scandir', scandir)
    found,errors = photographs(tmp_path)
    locked = str(tmp_path/'locked')
    assert [o['name'] for o in found.values()]==['a/photo.jpg', 'z/photo.jpg']
    assert errors=={locked: f'{locked}: cannot be listed (Permission denied)'}
    with pytest.raises(PermissionError, match='locked'):
        photographs(locked)

def test_a_pipe_among_photographs_is_passed_over(tmp_path):
    os.mkfifo(tmp_path/'p.jpg')
    (tmp_path/'a.jpg').touch()
    for source in tmp_path,f'{tmp_path}/*.jpg':
        ignored = {}
        assert names(source, ignored=ignored)==['a.jpg']
        assert ignored=={f'{tmp_path}/p.jpg': 'pipes or devices'}

def test_what_is_passed_over_in_a_bucket(s3):
    store,_ = s3
    for o in ('a.tif', 'a.colorized.jpg', 'b.dng', '.c.dng'): store.put(o, b'x')
    kinds = {f'{store.url}/a.colorized.jpg':'colorings of others', f'{store.url}/b.dng':'.dng'}
    for source in store.url,f'{store.url}/*':
        ignored = {}
        found,errors = photographs(source, store.storage, ignored=ignored)
        assert [*found]==[f'{store.url}/a.tif'] and not errors and ignored==kinds

def test_colorings_beside_their_photographs_are_none(tmp_path):
    for o in ('a.jpg', 'a.colorized.jpg', 'b.colorized.jpg', '.c.jpg'): (tmp_path/o).touch()
    assert names(tmp_path)==names(f'{tmp_path}/*.jpg')==['a.jpg', 'b.colorized.jpg']
    assert names([tmp_path/'a.colorized.jpg'])==['a.colorized.jpg'] # named, so meant

def test_links_in_a_list_keep_their_names(tmp_path):
    "As in a store that is addressed by content; a folder has one name all the same"
    (tmp_path/'store').mkdir()
    (tmp_path/'chosen').mkdir()
    (tmp_path/'store/7f3e.jpg').touch()
    (tmp_path/'chosen/plain.jpg').touch()
    (tmp_path/'chosen/mayor.jpg').symlink_to('../store/7f3e.jpg')
    (tmp_path/'today').symlink_to('chosen')
    listed = [tmp_path/'today/mayor.jpg', tmp_path/'chosen/plain.jpg']
    assert names(listed)==names(tmp_path/'chosen')==['mayor.jpg', 'plain.jpg']
    assert names(tmp_path/'today/mayor.jpg')==['mayor.jpg']

def test_a_file_that_was_missing_keeps_its_place(tmp_path, monkeypatch):
    "What failed and what is done later are rows of one photograph"
    monkeypatch.chdir(tmp_path)
    _,errors = photographs(['a.jpg'])
    (tmp_path/'a.jpg').touch()
    found,_ = photographs(['a.jpg'])
    assert [*errors]==[*found]==[str(tmp_path/'a.jpg')]

def test_one_object_and_names_with_brackets_in_a_bucket(s3):
    store,_ = s3
    for o in ('scan.jpg', 'Box [3]/x.jpg', 'Box 3/y.jpg'): store.put(o, b'x')
    assert names(f'{store.url}/scan.jpg', store.storage)==['scan.jpg']
    assert names(f'{store.url}/Box [3]', store.storage)==['x.jpg']
    assert names(f'{store.url}/Box [3]/x.jpg', store.storage)==['x.jpg']
    assert names(f'{store.url}/Box [0-9]/*.jpg', store.storage)==['Box 3/y.jpg']
