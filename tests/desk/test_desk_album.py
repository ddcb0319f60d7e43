"What becomes of an album whose files move, change, vanish, or were planted"
import json, os, shutil
import numpy as np, pytest
from PIL import Image
from desk_tools import NAMES, color
from colorized.batch.ledger import read_report
from colorized.desk.album import Album, Unavailable, is_stale
from colorized.desk.decisions import Change, Photo, State
from colorized.desk.pictures import THUMBNAILS, Pictures, gray_of, picture_of
from colorized.files import sha256_of

@pytest.fixture
def album(home):
    o = Album(home/'color', home/'scans')
    yield o
    o.close()

def of(album, path): return next(o for o in album.entries.values() if o.photo.path==path)

def accept(album, *paths):
    seen = album.states()
    changes = [Change(o.photo, seen.get(o.key, State()).version,
                      dict(decision='accepted', output_sha256=o.sha256))
               for o in (of(album, p) for p in paths)]
    album.decisions.decide(changes, 'Anna')

def accepted(album):
    return {album.entries[k].photo.path for k,o in album.states().items() if o.decision=='accepted'}

def again(album, folder=None):
    album.close()
    return Album(folder or album.folder, album.originals)

# ---- what is there ----
def test_an_album_is_what_the_run_made(album):
    assert sorted(o.photo.path for o in album.entries.values())==sorted(NAMES)
    assert {o.status for o in album.entries.values()}=={'ok'}
    assert all(o.row['uncertainty']>0 and o.photo.sha256 for o in album.entries.values())

def test_a_folder_without_a_report_is_no_album(tmp_path):
    with pytest.raises(ValueError, match='report.jsonl'): Album(tmp_path)
    with pytest.raises(NotADirectoryError): Album(tmp_path/'no')

def test_what_vanished_or_was_replaced_is_told_and_the_rest_works(album, home):
    (home/'color/farm.jpg').unlink()
    Image.new('RGB', (50, 50)).save(home/'color/mill.jpg')
    same_size = (home/'color/garden.jpg').read_bytes()
    (home/'color/garden.jpg').write_bytes(same_size[:-9]+b'\xff'*7+same_size[-2:])
    album.refresh()
    assert {o.photo.path: o.status for o in album.entries.values() if o.status!='ok'}=={
        'farm.jpg': 'vanished', 'mill.jpg': 'replaced'}
    for name in 'garden.jpg','1910/barn.jpg': album.read(of(album, name))
    assert of(album, 'garden.jpg').status=='replaced' and of(album, '1910/barn.jpg').status=='ok'
    with pytest.raises(Unavailable, match='not in the album any more'):
        album.read(of(album, 'farm.jpg'))
    album.refresh() # what was noticed is not forgotten
    assert of(album, 'garden.jpg').status=='replaced'

def test_a_photograph_that_vanishes_later_is_noticed(album, home):
    entry = of(album, 'farm.jpg')
    (home/'color/farm.jpg').unlink()
    with pytest.raises(Unavailable): album.read(entry)
    assert album.trouble==[(entry.key, 'vanished', "is not in the album any more")]

def test_a_failure_of_the_run_is_shown_without_paths(home, colorizer):
    (home/'scans/bad.jpg').write_bytes(b'no photograph')
    color(home/'scans', home/'color', colorizer, uncertainty=True)
    album = Album(home/'color')
    bad = of(album, 'bad.jpg')
    assert bad.status=='failed' and 'not a photograph' in bad.why and str(home) not in bad.why
    album.close()

# ---- moving and renaming ----
def test_moving_the_album_loses_nothing(album, home):
    accept(album, 'farm.jpg', '1910/barn.jpg')
    album.close()
    moved = (home/'color').rename(home/'elsewhere')
    album = Album(moved)
    assert accepted(album)=={'farm.jpg', '1910/barn.jpg'}
    album.close()

def test_renaming_in_the_album_loses_nothing(album, home):
    accept(album, 'farm.jpg')
    (home/'color/farm.jpg').rename(home/'color/1910/Farm of the Smiths.jpg')
    album = again(album)
    assert accepted(album)=={'farm.jpg'}
    assert of(album, 'farm.jpg').name==os.path.join('1910', 'Farm of the Smiths.jpg')
    assert of(album, 'farm.jpg').status=='ok'
    album.close()

@pytest.mark.parametrize('look_only', [False, True])
def test_decisions_follow_an_original_that_was_renamed(album, home, colorizer, look_only):
    accept(album, 'farm.jpg', 'mill.jpg')
    album.close()
    (home/'scans/farm.jpg').rename(home/'scans/smiths.jpg')
    (home/'color/farm.jpg').unlink()
    color(home/'scans', home/'color', colorizer, uncertainty=True)
    album = Album(home/'color', look_only=look_only)
    assert accepted(album)=={'smiths.jpg', 'mill.jpg'}
    state = album.states()[of(album, 'smiths.jpg').key]
    assert not is_stale(of(album, 'smiths.jpg'), state) # the same bytes
    album.close()

def test_a_copy_does_not_take_over_the_decisions(album, home, colorizer):
    accept(album, 'farm.jpg')
    shutil.copy(home/'scans/farm.jpg', home/'scans/copy.jpg')
    color(home/'scans', home/'color', colorizer, uncertainty=True)
    album = again(album)
    assert accepted(album)=={'farm.jpg'}
    album.close()

def test_another_original_of_the_same_name_is_another_photograph(album, home, colorizer):
    accept(album, 'farm.jpg')
    Image.fromarray(np.arange(10800, dtype=np.uint32).reshape(90, 120).astype(np.uint8)).save(
        home/'scans/farm.jpg')
    color(home/'scans', home/'color', colorizer, uncertainty=True, overwrite=True)
    album = again(album)
    assert not accepted(album) and [o.path for o in album.left_behind()]==['farm.jpg']
    album.close()

def test_colored_anew_is_stale(album, home, colorizer):
    accept(album, 'farm.jpg')
    color(home/'scans', home/'color', colorizer, seed=5, overwrite=True)
    album = again(album)
    farm = of(album, 'farm.jpg')
    assert is_stale(farm, album.states()[farm.key]) and farm.status=='ok'
    album.close()

# ---- planted by somebody who may write into the album ----
def plant(home, **row):
    known = read_report(home/'color')['farm.jpg']
    with open(home/'color/report.jsonl', 'a') as f: f.write(json.dumps({**known, **row})+'\n')

@pytest.mark.parametrize('path,output', [
    ('../secret.jpg', '../secret.jpg'), ('{home}/secret.jpg', '{home}/secret.jpg'),
    ('farm.jpg', '../secret.jpg'), ('x/../../secret.jpg', 'x/../../secret.jpg'),
    ('link.jpg', 'link.jpg'), ('linked/secret.jpg', 'linked/secret.jpg'), ('.', '.'), ('', '')])
def test_no_row_leads_out_of_the_album(home, path, output):
    secret = home/'secret.jpg'
    Image.new('L', (40, 30)).save(secret)
    (home/'outside').mkdir()
    shutil.copy(secret, home/'outside/secret.jpg')
    (home/'color/link.jpg').symlink_to(secret)
    (home/'color/linked').symlink_to(home/'outside')
    path,output = (o.format(home=home) for o in (path, output))
    plant(home, path=path, output=output, output_sha256=sha256_of(secret),
          output_bytes=secret.stat().st_size, source=str(home))
    album = Album(home/'color')
    pictures = Pictures(album)
    for o in album.entries.values():
        if o.row['output']!=output: continue
        for get in (pictures.thumbnail, pictures.color, pictures.gray, album.path):
            with pytest.raises(Unavailable): get(o)
    for o in pictures,album: o.close()

def test_a_link_that_takes_the_place_of_a_photograph(home):
    album = Album(home/'color')
    farm = of(album, 'farm.jpg')
    Image.new('L', (40, 30)).save(home/'secret.jpg')
    (home/'color/farm.jpg').unlink()
    (home/'color/farm.jpg').symlink_to(home/'secret.jpg')
    with pytest.raises(Unavailable): album.read(farm)
    album.close()

def test_an_original_is_opened_only_if_it_has_the_hash(home):
    "A report that names a private folder and a picture in it"
    (home/'private').mkdir()
    Image.new('L', (40, 30), 77).save(home/'private/farm.jpg')
    plant(home, source=str(home/'private'))
    album = Album(home/'color')
    farm = of(album, 'farm.jpg')
    with pytest.raises(Unavailable, match='was changed'): album.original(farm)
    pictures = Pictures(album)
    assert pictures.gray(farm)==gray_of(album.read(farm)) # its own lightness instead
    for o in pictures,album: o.close()
    for bad in '../scans/farm.jpg', str(home/'scans/farm.jpg'):
        farm.row['path'] = bad
        with pytest.raises(Unavailable): album.original(farm)

# ---- pictures ----
def test_thumbnails_are_made_once_and_anew_for_another_file(album, home, monkeypatch):
    pictures = Pictures(album)
    farm = of(album, 'farm.jpg')
    first = pictures.thumbnail(farm)
    monkeypatch.setattr('colorized.desk.pictures.picture_of', None)
    assert pictures.thumbnail(farm)==first
    pictures.close()
    pictures = Pictures(album) # the next day
    assert pictures.thumbnail(farm)==first
    monkeypatch.undo()
    kept, = (home/'color'/THUMBNAILS).iterdir()
    kept.write_bytes(first[:100]) # a crash has cut it short
    assert pictures.thumbnail(farm)==first
    os.utime(home/'color/farm.jpg', ns=(1, 1))
    album.refresh()
    farm = of(album, 'farm.jpg')
    assert pictures.thumbnail(farm)==first
    pictures.close()
    Pictures(album).close() # tidies up
    assert kept not in (home/'color'/THUMBNAILS).iterdir()

def test_every_format_has_its_pictures(album):
    pictures = Pictures(album)
    for o in album.entries.values():
        for data in (pictures.thumbnail(o), pictures.color(o, 1280), pictures.color(o)):
            assert np.asarray(picture(data)).shape==(90, 120, 3)
        before = np.asarray(picture(pictures.gray(o)).convert('L')).astype(float)
        source = np.asarray(Image.open(album.original(o)).convert('L'))
        assert np.abs(before-source).mean()<3
    pictures.close()

def picture(data):
    from io import BytesIO
    return Image.open(BytesIO(data))

def test_gray_from_the_color_version_is_the_lightness_of_the_original(album, home):
    for o in album.entries.values():
        source = np.asarray(Image.open(home/'scans'/o.photo.path).convert('L')).astype(float)
        gray = np.asarray(picture(gray_of(album.read(o))).convert('L'))
        assert gray.shape==source.shape and np.abs(gray-source).mean()<3

def test_an_upright_picture_of_a_turned_original(tmp_path):
    im,exif = Image.fromarray(np.tile(np.arange(80, dtype=np.uint8)*3, (40, 1))),Image.Exif()
    exif[274] = 6
    im.save(tmp_path/'turned.jpg', exif=exif)
    assert picture(picture_of((tmp_path/'turned.jpg').read_bytes(), 320)).size==(40, 80)

def test_a_planted_folder_of_thumbnails_is_not_followed(home, album):
    (home/'elsewhere').mkdir()
    (home/'elsewhere/precious.jpg').write_bytes(b'x')
    (home/'color'/THUMBNAILS).symlink_to(home/'elsewhere')
    pictures = Pictures(album)
    pictures.thumbnail(of(album, 'farm.jpg'))
    assert [o.name for o in (home/'elsewhere').iterdir()]==['precious.jpg']
    pictures.close()

def test_looking_only_leaves_no_trace(home):
    before = sorted(home.rglob('*'))
    album = Album(home/'color', look_only=True)
    pictures = Pictures(album)
    pictures.thumbnail(of(album, 'farm.jpg'))
    for o in pictures,album: o.close()
    assert sorted(home.rglob('*'))==before

def test_a_name_that_is_no_text_has_a_key(home):
    plant(home, path='caf\udce9.jpg', output='caf\udce9.jpg')
    album = Album(home/'color')
    o = of(album, 'caf\\udce9.jpg')
    album.decisions.decide([Change(o.photo, 0, dict(note='é'))], 'Anna')
    assert album.states()[o.key].note=='é' and isinstance(o.photo, Photo)
    album.close()
