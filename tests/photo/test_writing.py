"Lightness kept to the last level; files complete or not there"
import os, subprocess, sys, textwrap
import numpy as np, pytest, tifffile, torch
from PIL import Image
from colorized.photo.provenance import Provenance
from colorized.photo.reading import read_scan
from colorized.photo.scan import Scan, ScanError
from colorized.photo.writing import render_strips, write_color, write_scan
from exif import tags
from photo_files import L_of, ab, gray16, gray8, rgb16, rgb8

SUFFIXES = '.tif','.png','.jpg','.webp'
def render(*args, **kwargs): return np.concatenate(list(render_strips(*args, **kwargs)))

@pytest.mark.parametrize('suffix', SUFFIXES)
def test_output_is_tagged_srgb_and_the_same_every_time(suffix, tmp_path):
    for n in 'a','b': write_color(tmp_path/f'{n}{suffix}', Scan(gray8), ab, Provenance(seed=1))
    a,b = tmp_path/f'a{suffix}',tmp_path/f'b{suffix}'
    assert a.read_bytes()==b.read_bytes()
    assert 'sRGB' in tags(a)['ICC_Profile:ProfileDescription']
    Image.open(a).load()

# Luminance

@pytest.mark.parametrize('x', [gray8, gray16, rgb8, rgb16], ids='gray8 gray16 rgb8 rgb16'.split())
@pytest.mark.parametrize('suffix', ['.tif', '.png'])
def test_luminance_is_untouched(x, suffix, tmp_path):
    s = Scan(x)
    write_color(tmp_path/f'out{suffix}', s, 3*ab)
    out = read_scan(tmp_path/f'out{suffix}')
    assert out.bits==s.bits and out.shape==s.shape
    off = np.abs(L_of(out.pixels, 2**s.bits-1)-s.L()[0,0].numpy())
    assert np.quantile(off, 0.999)<(0.25 if s.bits==8 else 0.002)
    if x.ndim==2: # the gray original can be computed back
        gray = np.interp(out.L()[0,0].numpy(), s.gray_to_L, np.arange(2**s.bits)).round()
        assert np.abs(gray-x).max()<=(0 if s.bits==8 else 1)

def test_strips_agree_with_the_whole_and_with_any_strip_size():
    s = Scan(rgb16)
    whole,strips = render(s, ab),render(s, ab, strip=1500)
    assert np.abs(whole.astype(int)-strips).max()<=2
    assert len(render(Scan(gray8[:3,:5]), ab))==3

def test_strips_come_in_order_and_size():
    strips = list(render_strips(Scan(gray8), ab, strip=111*7))
    assert [len(o) for o in strips]==[7]*11+[3] and strips[0].shape[1:]==(111,3)

def test_chroma_is_where_it_belongs():
    "a to the red, b to the yellow, left of the picture on its left"
    side = torch.tensor([40., -40.]).view(1,1,1,2).expand(1,1,2,2)
    flat = Scan(np.full((40,60), 120, np.uint8))
    a,b = [render(flat, torch.cat(o, 1)).astype(int) for o in ((side, 0*side), (0*side, side))]
    assert (a[:,5,0]-a[:,5,1]).min()>40 and (a[:,-5,1]-a[:,-5,0]).min()>40 # red, green
    assert (b[:,5,0]-b[:,5,2]).min()>40 and (b[:,-5,2]-b[:,-5,0]).min()>40 # yellow, blue

def test_guidance_can_be_had_or_not():
    s = Scan(gray8)
    with_edges,without = render(s, ab),render(s, ab, guided=False)
    assert (with_edges!=without).any()
    flat = Scan(np.full((40,60), 120, np.uint8))
    assert np.array_equal(render(flat, ab), render(flat, ab, guided=False))

def test_the_tint_of_sepia_is_dropped():
    sepia = (gray8[...,None]*[1, 0.85, 0.65]).astype(np.uint8)
    assert not np.ptp(render(Scan(sepia), 0*ab), 2).any()

@pytest.mark.parametrize('chroma, bits, why', [
    (torch.zeros(2,2,4,4), 8, 'ab must be'), (torch.zeros(1,3,4,4), 8, 'ab must be'),
    (torch.zeros(2,4,4), 8, 'ab must be'), (ab, 12, 'bits must be 8 or 16, got 12')])
def test_errors_name_the_argument(chroma, bits, why):
    with pytest.raises(ValueError, match=why): render(Scan(gray8), chroma, bits)

@pytest.mark.parametrize('bits', [8, 16])
def test_depth_as_asked(bits, tmp_path):
    write_color(tmp_path/'a.tif', Scan(gray16 if bits==8 else gray8), ab, bits=bits)
    assert read_scan(tmp_path/'a.tif').bits==bits
    assert tags(tmp_path/'a.tif')['IFD0:BitsPerSample']==f'{bits} {bits} {bits}'

def test_pixels_of_another_depth_are_converted(tmp_path):
    write_scan(tmp_path/'a.png', rgb8, Scan(gray16))
    assert np.array_equal(read_scan(tmp_path/'a.png').pixels, rgb8.astype(np.uint16)*257)
    write_scan(tmp_path/'b.png', iter([rgb16[:50], rgb16[50:]]), Scan(gray8))
    assert np.array_equal(read_scan(tmp_path/'b.png').pixels, (rgb16.astype(int)+128)//257)

def test_alpha_of_another_depth_is_converted(tmp_path):
    for original,bits,want in ((gray8, 16, gray8.astype(int)*257), (gray16, 8, gray16>>8)):
        s = Scan(original, alpha=original)
        write_scan(tmp_path/'a.png', rgb8, s, bits=bits, overwrite=True)
        assert np.array_equal(read_scan(tmp_path/'a.png').alpha, want)

def test_remarks_say_all_that_is_lost(tmp_path):
    s = Scan(gray8, alpha=gray8, xmp=b'torn', iptc=b'\x1c\2\x69\0\1a')
    said = write_color(tmp_path/'a.jpg', s, ab)
    assert len(said)==2 and 'XMP could not be read' in said[0] and 'transparency' in said[1]
    assert write_color(tmp_path/'a.webp', s, ab)[1:]==['WebP has no place for IPTC-IIM']

# Written, or not

@pytest.fixture
def original(tmp_path):
    Image.fromarray(gray8).save(tmp_path/'original.png')
    return tmp_path/'original.png'

def test_the_original_is_only_replaced_by_name(original, tmp_path):
    before,s,link = original.read_bytes(),read_scan(original),tmp_path/'link.png'
    link.symlink_to(original)
    for dst in original,link:
        with pytest.raises(ScanError, match='is the original'):
            write_color(dst, s, ab, overwrite=True)
    assert original.read_bytes()==before
    write_color(original, s, ab, replace_original=True)
    assert read_scan(original).pixels.ndim==3
    assert sorted(os.listdir(tmp_path))==['link.png', 'original.png']

def test_other_files_are_only_overwritten_when_asked(original, tmp_path):
    s,old = read_scan(original),tmp_path/'old.png'
    old.write_text('keep me')
    for options in {},dict(replace_original=True):
        with pytest.raises(ScanError, match='exists already'): write_color(old, s, ab, **options)
    assert old.read_text()=='keep me'
    write_color(old, s, ab, overwrite=True)
    assert read_scan(old).pixels.ndim==3
    with pytest.raises(ScanError, match='no does not exist'):
        write_color(tmp_path/'no'/'a.png', s, ab)

def test_a_file_that_appears_meanwhile_is_kept(original, tmp_path):
    s,dst = read_scan(original),tmp_path/'b.png'
    def strips():
        dst.write_text('keep me')
        yield rgb8
    with pytest.raises(ScanError, match='b.png: exists already, and overwrite is off'):
        write_scan(dst, strips(), s)
    assert dst.read_text()=='keep me'
    write_scan(dst, strips(), s, overwrite=True)
    assert np.array_equal(read_scan(dst).pixels, rgb8)
    assert sorted(os.listdir(tmp_path))==['b.png', 'original.png']

@pytest.mark.parametrize('rgb, why', [
    (np.zeros((3,111,3), np.uint8), 'rgb has 3 rows, the photograph 80'),
    (iter([np.zeros((50,111,3), np.uint8)]*2), 'more than the 80 rows'),
    (iter([np.zeros((50,111,3), np.uint8)]), 'rgb has 50 rows'),
    (np.zeros((80,111,3)), 'uint8 or uint16'),
    (np.zeros((80,112,3), np.uint8), r'\(H,111,3\)'),
    (np.zeros((80,111,4), np.uint8), r'\(H,111,3\)')])
def test_nothing_is_written_of_wrong_pixels(rgb, why, original, tmp_path):
    with pytest.raises(ValueError, match=why):
        write_scan(tmp_path/'b.png', rgb, read_scan(original))
    assert os.listdir(tmp_path)==['original.png']

def test_nothing_is_written_when_rendering_is_stopped(original, tmp_path):
    def broken():
        yield np.zeros((40,111,3), np.uint8)
        raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt):
        write_scan(tmp_path/'b.png', broken(), read_scan(original))
    assert os.listdir(tmp_path)==['original.png']

@pytest.mark.parametrize('name', ['b.png', 'old.png', 'b.tif', 'b.jpg', 'b.webp'])
def test_nothing_is_left_behind_on_a_full_disk(name, original, tmp_path, monkeypatch):
    def full(fd): raise OSError(28, 'No space left on device')
    (tmp_path/'old.png').write_text('keep me')
    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(ScanError, match=f'{name}: could not be written .OSError.*No space left'):
        write_color(tmp_path/name, read_scan(original), ab, overwrite=True)
    assert sorted(os.listdir(tmp_path))==['old.png', 'original.png']
    assert (tmp_path/'old.png').read_text()=='keep me'

def test_what_a_format_cannot_hold_names_the_file(tmp_path):
    s = Scan(np.zeros((2,16384), np.uint8))
    with pytest.raises(ScanError, match='a.webp: WebP holds at most'):
        write_color(tmp_path/'a.webp', s, ab)
    assert not os.listdir(tmp_path)

@pytest.mark.skipif(os.name!='posix', reason="file modes are POSIX")
def test_file_mode_follows_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        write_color(tmp_path/'a.jpg', Scan(gray8), ab)
    finally:
        os.umask(old)
    assert (tmp_path/'a.jpg').stat().st_mode&0o777==0o640

@pytest.mark.skipif(not sys.platform.startswith('linux'), reason="peak memory in Linux's units")
@pytest.mark.slow
def test_memory_grows_with_the_file_not_with_floats(tmp_path):
    "20 megapixels of 16-bit RGB: 120 MB in, 120 MB out, and strips; as float32 it would take 3 GB"
    x = np.kron(rgb16, np.ones((48,46,1), np.uint16))[:3840,:5100]
    tifffile.imwrite(tmp_path/'big.tif', x, photometric='rgb')
    code = """
    import resource, sys, torch
    torch.set_num_threads(1)
    from colorized.photo.reading import read_scan
    from colorized.photo.writing import write_color
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/1e3
    start = peak()
    s = read_scan(sys.argv[1])
    s.thumbnail_L(256)
    write_color(sys.argv[2], s, torch.full((1,2,64,64), 15.))
    print(peak()-start)"""
    command = [sys.executable, '-c', textwrap.dedent(code), tmp_path/'big.tif', tmp_path/'out.tif']
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    assert float(out.stdout)<600, out.stdout
