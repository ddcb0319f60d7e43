"What people and programs wrote beside EXIF, IPTC and XMP"
import struct, subprocess, time
import pytest, tifffile
from PIL import Image, PngImagePlugin
from colorized.photo.exif import EXIF, Entry, Exif, exif_block
from colorized.photo.reading import read_scan
from colorized.photo.words import own_words
from colorized.photo.writing import write_color
from exif import change, tags
from photo_files import ab, gray8, rgb8

def png_tags(path): return {k: v for k,v in tags(path).items() if k.startswith('PNG:')}

def test_texts_of_a_png_stay_in_a_png_and_are_reported_elsewhere(tmp_path):
    "Written by ExifTool and by Pillow; Latin-1, and letters beyond it, and languages"
    texts = PngImagePlugin.PngInfo()
    texts.add_text('Copyright', 'Änne Müller')
    texts.add_text('Software', 'ScanSuite 3', zip=True)
    texts.add_itxt('Title', 'かもめ', 'ja', 'Titel')
    Image.fromarray(gray8).save(tmp_path/'a.png', pnginfo=texts)
    change(tmp_path/'a.png', '-PNG:Description=Easter', '-PNG:Author=Łódź')
    s = read_scan(tmp_path/'a.png')
    assert not s.warnings and not write_color(tmp_path/'out.png', s, ab)
    before,after = png_tags(tmp_path/'a.png'),png_tags(tmp_path/'out.png')
    kept = {'PNG:Copyright', 'PNG:Software', 'PNG:Title-ja', 'PNG:Description', 'PNG:Author'}
    assert kept<=before.keys() and {k: after[k] for k in kept}=={k: before[k] for k in kept}
    for suffix in '.jpg','.tif','.webp':
        said, = write_color(tmp_path/f'out{suffix}', s, ab)
        assert 'left behind' in said and all(o in said for o in ('Title', 'Copyright', 'Author'))

@pytest.mark.parametrize('text', [
    '<Pixels'+'<Description'*25_000+'OME>', '{'+'"shape":[]'*32_000+'x'])
def test_a_description_takes_no_time_that_grows_with_its_square(text):
    began = time.process_time()
    own_words(text)
    assert time.process_time()-began<1

def test_a_description_nested_too_deeply_stays():
    text = '{"shape": [1, 2], "a": '+'['*100_000+']'*100_000+'}'
    assert own_words(text)==(text, '')

def test_comments_stay_where_there_is_a_place(tmp_path):
    Image.fromarray(gray8).save(tmp_path/'a.jpg', comment='Möwen, 1931'.encode())
    Image.fromarray(gray8).save(tmp_path/'a.gif', comment=b'Easter')
    for name,text in (('a.jpg', 'Möwen, 1931'), ('a.gif', 'Easter')):
        s = read_scan(tmp_path/name)
        for dst,tag in (('out.jpg', 'File:Comment'), ('out.png', 'PNG:Comment')):
            assert not write_color(tmp_path/dst, s, ab, overwrite=True)
            assert tags(tmp_path/dst)[tag]==text
        assert 'Comment' in write_color(tmp_path/'out.tif', s, ab, overwrite=True)[0]

def test_comments_behind_the_pixels_and_several_stay(tmp_path):
    "Where Pillow does not look for them; what is cut short ends the search"
    Image.fromarray(gray8).save(tmp_path/'a.gif', comment=b'first')
    data = (tmp_path/'a.gif').read_bytes()
    more = b'!\xfe\6second\3rd \0!\xfe\5first\0'
    (tmp_path/'b.gif').write_bytes(data[:-1]+more+data[-1:])
    (tmp_path/'torn.gif').write_bytes(data[:-1]+more[:6])
    Image.fromarray(gray8).save(tmp_path/'plain.jpg')
    data = (tmp_path/'plain.jpg').read_bytes()
    comment = lambda text: b'\xff\xfe'+(len(text)+2).to_bytes(2, 'big')+text
    (tmp_path/'c.jpg').write_bytes(data[:2]+comment(b'first')+comment(b'secondrd ')+data[2:])
    both = 'first\nsecondrd '
    for name,text in ('b.gif', both),('torn.gif', 'first\nsec'),('c.jpg', both):
        s = read_scan(tmp_path/name)
        assert s.texts=={'Comment': text}, name
        assert not write_color(tmp_path/'out.png', s, ab, overwrite=True)
        assert Image.open(tmp_path/'out.png').text['Comment']==text

def test_a_comment_of_no_known_encoding_keeps_its_bytes(tmp_path):
    "Mac OS Roman, as Photoshop 4 wrote it"
    Image.fromarray(gray8).save(tmp_path/'a.jpg', comment='Photoshop® 4.0'.encode('mac-roman'))
    s = read_scan(tmp_path/'a.jpg')
    for suffix in '.jpg','.png': assert not write_color(tmp_path/f'out{suffix}', s, ab)
    assert Image.open(tmp_path/'out.jpg').info['comment']==b'Photoshop\xa8 4.0'
    assert Image.open(tmp_path/'out.png').text['Comment']=='Photoshop\xa8 4.0'

def test_a_comment_has_an_end_in_a_jpeg(tmp_path):
    texts = PngImagePlugin.PngInfo()
    texts.add_text('Comment', 'x'*70000)
    Image.fromarray(gray8).save(tmp_path/'a.png', pnginfo=texts)
    said = write_color(tmp_path/'out.jpg', read_scan(tmp_path/'a.png'), ab)
    assert said==['comment of 70000 bytes is too large for a JPEG and was left behind']

def test_what_other_programs_keep_in_a_jpeg_is_named(tmp_path):
    Image.fromarray(gray8).save(tmp_path/'a.jpg')
    data = (tmp_path/'a.jpg').read_bytes()
    body = b'GoPro\0DEVC'
    segment = b'\xff\xe6'+struct.pack('>H', len(body)+2)+body
    (tmp_path/'a.jpg').write_bytes(data[:2]+segment+data[2:])
    said, = read_scan(tmp_path/'a.jpg').warnings
    assert said=='what other programs keep in it was left behind: APP6 GoPro'

def test_what_lies_behind_a_jpeg_is_reported(tmp_path):
    Image.fromarray(gray8).save(tmp_path/'a.jpg')
    data = (tmp_path/'a.jpg').read_bytes()
    for more,n in ((b'CANON OPTIONAL DATA', 1), (bytes(20), 0), (b'', 0)):
        (tmp_path/'a.jpg').write_bytes(data+more)
        assert ['behind the end' in o for o in read_scan(tmp_path/'a.jpg').warnings]==[True]*n

def test_xmp_of_a_gif_is_kept(tmp_path):
    Image.fromarray(gray8).save(tmp_path/'a.gif')
    change(tmp_path/'a.gif', '-XMP-dc:Title=Hafen', '-XMP-xmpMM:DocumentID=xmp.did:1')
    write_color(tmp_path/'out.png', read_scan(tmp_path/'a.gif'), ab)
    after = tags(tmp_path/'out.png')
    assert (after['XMP-dc:Title'], after['XMP-xmpMM:DocumentID'])==('Hafen', 'xmp.did:1')

slow = lambda o: pytest.param(o, marks=pytest.mark.slow)

@pytest.mark.parametrize('encoding', [
    'utf-16-be', 'utf-32-be', *map(slow, ['utf-16-le', 'utf-16', 'utf-32'])])
def test_xmp_in_any_encoding_is_kept(encoding, tmp_path):
    "With a mark of byte order before it and without: ExifTool itself reads them"
    Image.fromarray(rgb8).save(tmp_path/'a.webp')
    change(tmp_path/'a.webp', '-XMP-dc:Title=Hafen & Möwen')
    packet = Image.open(tmp_path/'a.webp').info['xmp'].decode().lstrip('\ufeff')
    Image.fromarray(rgb8).save(tmp_path/'b.webp', xmp=packet.encode(encoding))
    assert tags(tmp_path/'b.webp')['XMP-dc:Title']=='Hafen & Möwen'
    assert not write_color(tmp_path/'out.jpg', read_scan(tmp_path/'b.webp'), ab)
    assert tags(tmp_path/'out.jpg')['XMP-dc:Title']=='Hafen & Möwen'

def test_xml_of_jpeg_2000_is_reported(tmp_path):
    Image.fromarray(gray8).save(tmp_path/'a.jp2')
    box = b'<a>Macbeth chart</a>'
    data = (tmp_path/'a.jp2').read_bytes()
    (tmp_path/'a.jp2').write_bytes(data+struct.pack('>I4s', len(box)+8, b'xml ')+box)
    said, = read_scan(tmp_path/'a.jp2').warnings
    assert said=='XML or other boxes of JPEG 2000 were left behind'

def test_a_camera_note_that_moves_is_reported(tmp_path):
    "Into a TIFF it always does; the bytes are the same"
    note = Entry(37500, 7, 200, b'note'*50)
    block = exif_block(Exif('<', {0: [], EXIF: [note]}, 300))
    Image.fromarray(rgb8).save(tmp_path/'a.jpg', exif=block)
    s = read_scan(tmp_path/'a.jpg')
    for suffix,n in {'.jpg': 0, '.png': 0, '.webp': 0, '.tif': 1}.items():
        said = write_color(tmp_path/f'out{suffix}', s, ab)
        assert len(said)==n and all('MakerNote' in o for o in said)
        assert note.data in (tmp_path/f'out{suffix}').read_bytes()

def test_what_jpeg_demands_of_exif_is_there_and_no_more_in_a_tiff(tmp_path):
    "Where chroma lies, and sides as libtiff wants them"
    Image.fromarray(rgb8).save(tmp_path/'a.jpg')
    change(tmp_path/'a.jpg', '-IFD0:YCbCrPositioning#=2', '-IFD0:Make=Linhof',
           '-ExifIFD:ExifImageWidth=9', '-ExifIFD:ExifImageHeight=9')
    s = read_scan(tmp_path/'a.jpg')
    for suffix in '.jpg','.tif': write_color(tmp_path/f'out{suffix}', s, ab)
    assert tags(tmp_path/'out.jpg')['IFD0:YCbCrPositioning']=='Centered'
    after = tags(tmp_path/'out.tif')
    assert 'IFD0:YCbCrPositioning' not in after and after['ExifIFD:ExifImageWidth']==111
    info = subprocess.run(['tiffinfo', '-D', tmp_path/'out.tif'], capture_output=True, text=True)
    assert not info.stderr, info.stderr

def test_provenance_is_about_what_an_old_packet_is_about(tmp_path):
    "about= without a prefix, as the first programs wrote it"
    packet = (b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
              b'about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="Box 7"/>'
              b'</rdf:RDF>')
    Image.fromarray(rgb8).save(tmp_path/'a.webp', xmp=packet)
    write_color(tmp_path/'out.jpg', read_scan(tmp_path/'a.webp'), ab)
    after = tags(tmp_path/'out.jpg')
    assert after['XMP-dc:Source']=='Box 7' and not [k for k in after if 'Warning' in k]

def test_texts_of_one_name_are_lines_of_one(tmp_path):
    "The PNG specification allows for several; Pillow has the last"
    texts = PngImagePlugin.PngInfo()
    texts.add_text('Comment', 'first note')
    texts.add_text('Author', 'Änne')
    texts.add_text('Comment', 'second note', zip=True)
    texts.add_itxt('Comment', 'かもめ')
    Image.fromarray(gray8).save(tmp_path/'a.png', pnginfo=texts)
    s = read_scan(tmp_path/'a.png')
    assert s.texts==dict(Comment='first note\nsecond note\nかもめ', Author='Änne')
    assert not write_color(tmp_path/'out.png', s, ab)
    assert read_scan(tmp_path/'out.png').texts==s.texts

@pytest.mark.parametrize('text, kept', [
    ('{"shape": [80, 111], "Title": "Dvo\\u0159\\u00e1k"}', '{"Title": "Dvořák"}'),
    ('{"shape": [80, 111], "Title": "Dvořák"}', '{"Title": "Dvořák"}'),
    ('<OME><Image><Description>Smith &amp; Søns &lt;1910&gt;</Description><Pixels/></Image></OME>',
     'Smith & Søns <1910>')])
def test_words_of_a_description_keep_their_letters(text, kept, tmp_path):
    tifffile.imwrite(tmp_path/'a.tif', gray8, metadata=None, description=text.encode())
    write_color(tmp_path/'out.tif', read_scan(tmp_path/'a.tif'), ab)
    assert tags(tmp_path/'out.tif')['IFD0:ImageDescription']==kept
