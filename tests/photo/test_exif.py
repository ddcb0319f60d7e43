"EXIF written by other programs, behind our own reading and writing, judged by other programs"
import io, json, struct, subprocess, warnings
import pytest, tifffile
from PIL import Image
from colorized.photo.exif import EXIF, GPS, Entry, Exif, exif_block, read_exif
from colorized.photo.reading import read_scan
from colorized.photo.writing import write_color
from exif import change, exiftool, tags
from photo_files import ab, gray8, rgb8

def descriptions(path):
    said = exiftool('-j', '-G1:4', '-a', '-ImageDescription', path)
    return [v for k,v in json.loads(said)[0].items() if k.endswith('ImageDescription')]

def check_is_sound(path):
    "No program that reads it has anything to complain of"
    said = exiftool('-s3', '-warning', '-a', '-validate', path).splitlines()
    known = 'Invalid value for IFD0 tag 0x0103 Compression' # Deflate, which came after TIFF 6.0
    assert {*said}<={known, '1 Warning', 'OK'}, said
    info = subprocess.run(['tiffinfo', '-D', path], capture_output=True, text=True)
    assert not info.returncode and not info.stderr, info.stderr
    with warnings.catch_warnings(), tifffile.TiffFile(path) as t:
        warnings.simplefilter('error')
        assert t.series[0].shape==(80,111,3) and t.asarray().shape==(80,111,3)
        assert not (t.is_shaped or t.is_imagej or t.is_ome)

@pytest.fixture
def heard(caplog):
    "What tifffile logs"
    yield
    assert not [o for o in caplog.records if o.name=='tifffile']

@pytest.mark.parametrize('more, kept', [
    (dict(description='Shelfmark 12'), ['Shelfmark 12']),
    pytest.param(dict(), [], marks=pytest.mark.slow),
    (dict(description='Shelfmark 12', metadata=dict(Box='7')), ['Shelfmark 12', '{"Box": "7"}']),
    (dict(description='Shelfmark 12', metadata=None), ['Shelfmark 12'])])
def test_tifffile_describes_its_array_and_the_archive_its_photograph(more, kept, tmp_path, heard):
    tifffile.imwrite(tmp_path/'a.tif', gray8, **more)
    assert len(descriptions(tmp_path/'a.tif'))==len(kept)+('metadata' not in more)
    for suffix in '.tif','.jpg','.png','.webp':
        write_color(tmp_path/f'out{suffix}', read_scan(tmp_path/'a.tif'), ab)
        assert descriptions(tmp_path/f'out{suffix}')==kept
    if len(kept)<2: check_is_sound(tmp_path/'out.tif')

def test_repeated_tags_are_kept(tmp_path):
    "Two texts of the archive's own: both, in their order, with their letters"
    words = ['Shelfmark 12', 'Änne, 1912']
    more = [(270, 2, 0, o.encode(), True) for o in words]
    tifffile.imwrite(tmp_path/'a.tif', gray8, metadata=None, extratags=more)
    assert descriptions(tmp_path/'a.tif')==words
    for suffix in '.tif','.jpg','.png','.webp':
        write_color(tmp_path/f'out{suffix}', read_scan(tmp_path/'a.tif'), ab)
        assert descriptions(tmp_path/f'out{suffix}')==words
    with tifffile.TiffFile(tmp_path/'out.tif') as t:
        assert len(t.pages[0].tags.getall(270))==2

def test_notes_of_microscopes_go_and_say_so(tmp_path, heard):
    tifffile.imwrite(tmp_path/'ij.tif', gray8, imagej=True, resolution=(300,300),
                     metadata=dict(unit='inch', Box='7'))
    ome = dict(Description='Shelfmark 12')
    tifffile.imwrite(tmp_path/'a.ome.tif', gray8, ome=True, metadata=ome)
    for name,kept,lost in (('ij.tif', 'box=7', 'ImageJ'), ('a.ome.tif', 'Shelfmark 12', 'OME')):
        s = read_scan(tmp_path/name)
        assert len(s.warnings)==1 and lost in s.warnings[0] and 'left behind' in s.warnings[0]
        write_color(tmp_path/'out.tif', s, ab, overwrite=True)
        assert descriptions(tmp_path/'out.tif')==[kept]
        check_is_sound(tmp_path/'out.tif')

@pytest.mark.parametrize('byteorder, big', [
    ('>', False), ('<', True), *(pytest.param(*o, marks=pytest.mark.slow)
                                 for o in (('<', False), ('>', True)))])
def test_every_type_of_tag_is_kept_to_the_byte(byteorder, big, tmp_path):
    "Those of GeoTIFF and TIFF/EP among them, and numbers over 65,535"
    extra = [(33550, 12, 3, (0.5, 0.25, 0.), True), (33434, 5, 1, (1, 125), True),
             (37380, 10, 1, (-1, 3), True), (34735, 3, 4, (1, 1, 0, 0), True),
             (65001, 4, 2, (70000, 5), True), (65002, 11, 1, 1.5, True),
             (65003, 6, 2, (-1, 5), True), (65004, 8, 1, -300, True), (65005, 9, 1, -70000, True)]
    tifffile.imwrite(tmp_path/'a.tif', gray8, byteorder=byteorder, bigtiff=big, metadata=None,
                     extratags=extra)
    s = read_scan(tmp_path/'a.tif')
    for suffix in '.tif','.jpg','.png':
        write_color(tmp_path/f'out{suffix}', s, ab)
    codes = {o[0] for o in extra}
    def found(path):
        f = tifffile.TiffFile(path) if path.suffix=='.tif' else \
            tifffile.TiffFile(io.BytesIO(read_scan(path).exif[6:]), _useframes=False)
        with f: return {o.code: (o.dtype, o.count, o.value) for o in f.pages[0].tags
                        if o.code in codes}
    before = found(tmp_path/'a.tif')
    assert len(before)==len(extra) and found(tmp_path/'out.tif')==before
    said = {k: v for k,v in tags(tmp_path/'a.tif').items()
            if k in ('IFD0:PixelScale', 'IFD0:ExposureTime')}
    assert len(said)==2 and said.items()<=tags(tmp_path/'out.jpg').items()
    assert said.items()<=tags(tmp_path/'out.png').items()

@pytest.mark.parametrize('order', ['II', 'MM'])
def test_comments_in_unicode_keep_their_letters(order, tmp_path):
    "They are of undefined type, but their letters lie in the order of the file's bytes"
    Image.fromarray(rgb8).save(tmp_path/'a.jpg')
    change(tmp_path/'a.jpg', f'-exifbyteorder={order}', '-UserComment=Großmutter 祖母',
           '-GPSAreaInformation=Köln 東')
    s = read_scan(tmp_path/'a.jpg')
    encoding = 'utf-16-le' if order=='II' else 'utf-16-be'
    assert 'Großmutter 祖母'.encode(encoding) in s.exif and 'Köln 東'.encode(encoding) in s.exif
    write_color(tmp_path/'out.tif', s, ab) # little-endian
    written = (tmp_path/'out.tif').read_bytes()
    for text in 'Großmutter 祖母','Köln 東': assert b'UNICODE\0'+text.encode('utf-16-le') in written
    write_color(tmp_path/'out.jpg', s, ab)
    for f in 'out.tif','out.jpg':
        said = tags(tmp_path/f)
        assert said['ExifIFD:UserComment']=='Großmutter 祖母'
        assert said['GPS:GPSAreaInformation']=='Köln 東'

def test_texts_of_exif_3_are_kept(tmp_path, heard):
    "Their type says that they are UTF-8; TIFF knows it as text only"
    text,artist = 'Großmutter 祖母'.encode()+b'\0','Änne'.encode()+b'\0'
    made = Exif('>', {0: [Entry(270, 129, len(text), text)],
                      EXIF: [Entry(42039, 129, len(artist), artist)]}) # photographer
    assert made.value(270)=='Großmutter 祖母'
    Image.fromarray(rgb8).save(tmp_path/'a.jpg', exif=exif_block(made))
    s = read_scan(tmp_path/'a.jpg')
    assert not s.warnings
    for suffix in '.tif','.jpg','.png','.webp':
        assert not write_color(tmp_path/f'out{suffix}', s, ab)
        assert descriptions(tmp_path/f'out{suffix}')==['Großmutter 祖母']
        assert artist in (tmp_path/f'out{suffix}').read_bytes()
    assert tifffile.imread(tmp_path/'out.tif').shape==rgb8.shape

def test_the_second_directory_of_a_bigtiff_is_kept(tmp_path):
    "No program here writes one: a directory of its own, put behind the file"
    f = tmp_path/'big.tif'
    tifffile.imwrite(f, gray8, bigtiff=True, metadata=None, byteorder='<', description='Easter',
                     extratags=[(65000, 16, 1, 16, True)])
    at = f.stat().st_size
    ours = struct.pack('<HHQQ', 65000, 16, 1, 16)
    data = f.read_bytes().replace(ours, struct.pack('<HHQQ', 34665, 16, 1, at))
    more = struct.pack('<QHHQQQ', 1, 36867, 2, 20, at+36, 0)+b'1907:07:01 12:00:00\0'
    f.write_bytes(data+more)
    assert exiftool('-s3', '-DateTimeOriginal', f).strip()=='1907:07:01 12:00:00'
    s = read_scan(f)
    write_color(tmp_path/'out.tif', s, ab)
    assert not s.warnings
    after = tags(tmp_path/'out.tif')
    assert after['ExifIFD:DateTimeOriginal']=='1907:07:01 12:00:00'
    assert after['IFD0:ImageDescription']=='Easter'

def test_a_torn_entry_takes_no_other_with_it(tmp_path):
    main = [Entry(270, 2, 7, b'Easter\0'), Entry(271, 2, 10, b'Linhof AG\0'),
            Entry(315, 2, 2, b'A\0')]
    block = bytearray(exif_block(Exif('<', {0: main})))
    at = block.index(struct.pack('<HHI', 271, 2, 10))+8
    block[at:at+4] = struct.pack('<I', 9999)
    Image.fromarray(rgb8).save(tmp_path/'a.jpg', exif=bytes(block))
    s = read_scan(tmp_path/'a.jpg')
    assert s.warnings==['1 entries of EXIF are damaged and were left behind (tags 271)']
    write_color(tmp_path/'out.jpg', s, ab)
    after = tags(tmp_path/'out.jpg')
    assert (after['IFD0:ImageDescription'], after['IFD0:Artist'])==('Easter', 'A')

def test_an_entry_cannot_ask_for_more_than_the_file_holds():
    "4,000 entries that all point to the same megabyte"
    n = 4000
    lines = b''.join(struct.pack('<HHII', 40000+i, 7, 2**20, 50000) for i in range(n))
    data = struct.pack('<2sHIH', b'II', 42, 8, n)+lines
    exif = read_exif(io.BytesIO(data.ljust(50000, b'\0')+bytes(2**20)))
    assert len(exif.main)==1 and len(exif.lost)==n-1

def test_a_camera_note_stays_where_it_was(tmp_path):
    "Its places count from the first byte of EXIF"
    note = b'note'*50
    detail = [Entry(37500, 7, len(note), note), Entry(36867, 2, 20, b'1907:07:01 12:00:00\0')]
    main = [Entry(271, 2, 200, b'x'*199+b'\0'), Entry(37, 7, 90, b'y'*90)]
    block = exif_block(Exif('>', {0: main, EXIF: detail, GPS: [Entry(1, 2, 2, b'N\0')]}, 600))
    Image.fromarray(rgb8).save(tmp_path/'a.jpg', exif=block)
    write_color(tmp_path/'out.jpg', read_scan(tmp_path/'a.jpg'), ab)
    after = Image.open(tmp_path/'out.jpg').info['exif']
    assert after[606:806]==note and after.count(b'notenote')==block.count(b'notenote')
