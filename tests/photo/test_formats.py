"Formats, and metadata where other programs look for it"
import io
import numpy as np, pytest
from PIL import Image
from colorized.photo.formats import EmbeddedMetadata, encode_image, output_format
from colorized.photo.provenance import Provenance, merge_xmp
from colorized.photo.reading import read_scan
from colorized.photo.scan import ScanError, srgb_profile
from exif import change, tags
from photo_files import exif_with, gray8, rgb16, rgb8

xmp = merge_xmp(None, Provenance('base'))[0]
def encode(x, format, **kwargs):
    f = io.BytesIO()
    metadata = EmbeddedMetadata(**{**dict(xmp=xmp, bare_xmp=xmp), **kwargs})
    remarks = encode_image(f, x, format, metadata)
    return f.getvalue(),remarks

def test_depth_and_format():
    assert output_format('a.TIF', scan_bits=16)==('TIFF', 16)
    assert output_format('a.jpeg', scan_bits=16)==('JPEG', 8)
    assert output_format('x', 'png', 16)==('PNG', 16)
    assert [output_format('x', o)[0] for o in ('jpg', 'JPEG', 'tif', 'tiff', 'webp')]==[
        'JPEG', 'JPEG', 'TIFF', 'TIFF', 'WEBP']
    assert output_format('a.webp')==('WEBP', 8)
    assert output_format('a.png', bits=8, scan_bits=16)==('PNG', 8)

@pytest.mark.parametrize('args, why', [
    (('a.xyz',), 'a.xyz: format must be one of JPEG, PNG, TIFF, WEBP, got .xyz'),
    (('a',), 'got no suffix'), (('a.png', 'bmp'), 'got bmp'),
    (('a.jpg', None, 16), 'a.jpg: JPEG holds 8 bits only, 16 were asked for: choose TIFF or PNG'),
    (('a.webp', None, 16), 'WEBP holds 8 bits only'), (('a.png', None, 12), '8 or 16, got 12')])
def test_what_does_not_exist(args, why):
    with pytest.raises(ValueError, match=why): output_format(*args)

@pytest.mark.parametrize('format', ['PNG', 'TIFF'])
@pytest.mark.parametrize('x', [rgb8, rgb16, np.dstack([rgb16, rgb16[...,0]])])
def test_pixels_are_kept(format, x):
    s = read_scan(encode(x, format)[0])
    assert np.array_equal(s.pixels, x[...,:3]) and s.format==format
    assert s.alpha is None if x.shape[2]==3 else np.array_equal(s.alpha, x[...,3])

def test_quality():
    sizes = [len(encode(rgb8, 'JPEG', quality=q)[0]) for q in (30, 90, 100)]
    assert sizes==sorted(sizes) and sizes[0]<sizes[2]/3
    assert np.array_equal(read_scan(encode(rgb8, 'WEBP', quality=100)[0]).pixels, rgb8)
    assert not np.array_equal(read_scan(encode(rgb8, 'WEBP', quality=99)[0]).pixels, rgb8)

def test_a_lossless_webp_keeps_colors_under_transparency():
    x = np.dstack([rgb8, np.where(gray8>99, 0, 255).astype(np.uint8)])
    s = read_scan(encode(x, 'WEBP', quality=100)[0])
    assert np.array_equal(np.dstack([s.pixels, s.alpha]), x)

def test_chroma_of_a_jpeg_has_every_pixel():
    assert {o[1:3] for o in Image.open(io.BytesIO(encode(rgb8, 'JPEG')[0])).layer}=={(1,1)}

@pytest.mark.parametrize('format', ['PNG', 'TIFF', 'JPEG', 'WEBP'])
def test_every_format_is_tagged_srgb(format):
    im = Image.open(io.BytesIO(encode(rgb8, format)[0]))
    assert im.info['icc_profile']==srgb_profile()

def test_resolution_of_a_png_is_the_nearest_in_pixels_a_meter():
    "72 an inch are 2834.6 a meter"
    dpi = read_scan(encode(rgb8, 'PNG', dpi=(72,300))[0]).dpi
    assert dpi==pytest.approx((2835*.0254, 11811*.0254))

@pytest.mark.parametrize('n', [3, 4])
def test_iptc_of_any_length(n, tmp_path):
    iptc = b'\x1c\2\x69'+n.to_bytes(2, 'big')+b'Gull'[:n] # a headline
    for format in 'PNG','TIFF','JPEG':
        (tmp_path/'a').write_bytes(encode(rgb8, format, iptc=iptc)[0])
        assert tags(tmp_path/'a')['IPTC:Headline']=='Gull'[:n]
        assert read_scan(tmp_path/'a').iptc==iptc

def test_segments_of_a_jpeg_have_an_end(tmp_path):
    exif = exif_with(description='x'*66000).tobytes()
    data,remarks = encode(rgb8, 'JPEG', exif=exif, xmp=b'x'*66000, iptc=b'x'*66000)
    assert [o.split()[0] for o in remarks]==['EXIF', 'XMP', 'IPTC']
    assert all('too large for a JPEG and was left behind' in o for o in remarks)
    assert read_scan(data).xmp==xmp and read_scan(data).iptc is None
    for n in 65533-29,65534-29: # the name of XMP's segment takes 29 of 65,533 bytes
        assert bool(encode(rgb8, 'JPEG', xmp=b'x'*n)[1])==(n>65504)

def test_sides_of_webp_have_an_end():
    assert read_scan(encode(np.zeros((1,16383,3), np.uint8), 'WEBP')[0]).shape==(1,16383)
    with pytest.raises(ScanError, match='at most 16383 pixels a side.*has 2×16384'):
        encode(np.zeros((16384,2,3), np.uint8), 'WEBP')

def test_sides_of_jpeg_have_an_end():
    assert read_scan(encode(np.zeros((1,65500,3), np.uint8), 'JPEG')[0]).shape==(1,65500)
    with pytest.raises(ScanError, match='JPEG holds at most 65500 pixels a side.*has 65501×1'):
        encode(np.zeros((1,65501,3), np.uint8), 'JPEG')

def test_directories_of_a_tiff_are_those_of_exif(tmp_path):
    Image.fromarray(gray8).save(tmp_path/'a.jpg')
    change(tmp_path/'a.jpg', '-IFD0:Artist=Änne', '-IFD0:Rating=3', '-GPS:GPSLatitude=53.1',
           '-GPS:GPSLatitudeRef=N', '-ExifIFD:LensModel=Apo', '-ExifIFD:ISO=100')
    exif = read_scan(tmp_path/'a.jpg').exif
    for x in rgb8,rgb8[:79,:1],rgb8[:7,:7],rgb8[:9,:5]: # of even and odd lengths
        (tmp_path/'a.tif').write_bytes(encode(np.ascontiguousarray(x), 'TIFF', exif=exif)[0])
        t = tags(tmp_path/'a.tif')
        assert (t['IFD0:Artist'], t['IFD0:Rating'], t['ExifIFD:LensModel'], t['ExifIFD:ISO'])==(
            'Änne', 3, 'Apo', 100)
        assert t['GPS:GPSLatitude'].startswith('53 deg') and t['IFD0:Orientation'].startswith('Hor')
        assert not [k for k in t if 'Warning' in k]
        places = Image.open(tmp_path/'a.tif').tag_v2
        assert places[34665]%2==places[34853]%2==0 # as TIFF demands
