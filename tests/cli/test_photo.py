"""`colorized PHOTO …` on real scans: what a user sees, and what lies on the disk afterwards

Metadata is judged by ExifTool, lightness by scikit-image."""
import json, os, resource, shutil, signal, subprocess, sys, time
from pathlib import Path
import numpy as np, pytest, tifffile
from PIL import Image, ImageOps
from skimage import color
from colorized import __version__
from exif import tags

PHOTO = Path(__file__).resolve().parents[2]/'nbs/images/campus-1910.jpg'
NEWSCODES = 'http://cv.iptc.org/newscodes/digitalsourcetype'
SOURCE = f'{NEWSCODES}/compositeWithTrainedAlgorithmicMedia'
SCANS = ['campus.jpg', 'gray16.tif', 'sepia.tif', 'cmyk.jpg', 'phone.jpg', 'icon.png']
KEPT = ['IFD0:Make', 'IFD0:Model', 'IFD0:Artist', 'IFD0:Copyright', 'ExifIFD:DateTimeOriginal',
    'IPTC:Caption-Abstract', 'IPTC:City', 'XMP-dc:Title', 'XMP-dc:Creator',
    'XMP-photoshop:Credit', 'XMP-xmpRights:UsageTerms', 'XMP-xmpMM:HistoryAction']

# ---- independent eyes ----
def pixels(path):
    "At the depth of the file, by a reader that is not ours"
    if Path(path).suffix=='.tif':
        return tifffile.imread(path)
    return np.asarray(Image.open(path))

def depth(path):
    return tags(path)['PNG:BitDepth'] if path.suffix=='.png' else 8*pixels(path).itemsize

def L_of(x):
    return color.rgb2lab(x.astype(float)/np.iinfo(x.dtype).max)[...,0]

def files(folder):
    return sorted(str(p.relative_to(folder)) for p in Path(folder).rglob('*') if p.is_file())

def faithful(got, want):
    return np.percentile(np.abs(got-want), 99.9)<=0.5

def upright(path):
    "Lightness of an original as the viewer of it would see it, without our reader"
    if path.name=='gray16.tif':
        Y = (tifffile.imread(path)/65535)**2.2
        return np.where(Y>(6/29)**3, 116*np.cbrt(Y)-16, Y*(29/3)**3)
    if path.suffix=='.tif':
        return L_of(tifffile.imread(path))
    return L_of(np.asarray(ImageOps.exif_transpose(Image.open(path)).convert('RGB')))

# ---- every kind of scan ----
@pytest.fixture(scope='module')
def colored(scans, run, network):
    "All of them in their own formats, by one command"
    attempts = network[1].read_text()
    r = run(*SCANS, '--out', 'out', '--steps', 1, '--seed', 5, cwd=scans)
    return scans/'out',r,network[1].read_text()[len(attempts):]

@pytest.fixture(scope='module')
def lossless(scans, run):
    "The JPEGs once more, as TIFF"
    jpegs = 'campus.jpg', 'cmyk.jpg', 'phone.jpg'
    run(*jpegs, '--out', 'tiff', '--format', 'tiff', '--steps', 1, cwd=scans)
    return scans/'tiff'

@pytest.mark.parametrize('name', SCANS)
def test_every_scan_comes_out_whole(name, scans, colored):
    out,r,_ = colored
    assert r.stdout.split('\n')==[*[str(Path('out')/o) for o in SCANS], '']
    assert files(out)==sorted(SCANS)
    Image.open(out/name).load()
    x = pixels(out/name)
    assert x.shape==(*upright(scans/name).shape, 3)
    assert depth(out/name)==(16 if name.endswith('.tif') else 8)
    formats = dict(jpg='JPEG', tif='TIFF', png='PNG')
    assert Image.open(out/name).format==formats[name.split('.')[1]]

@pytest.mark.parametrize('name', SCANS)
def test_provenance(name, colored, run):
    t = tags(colored[0]/name)
    assert t['XMP-iptcExt:DigitalSourceType']==SOURCE
    assert (t['XMP-colorized:Seed'], t['XMP-colorized:Steps'])==(5, 1)
    assert t['XMP-colorized:Software']==f'colorized {__version__}'
    assert len(str(t['XMP-colorized:ModelSHA256']))==64
    assert t['XMP-colorized:Model']=='colorized-default'

@pytest.mark.parametrize('name', ['gray16.tif', 'sepia.tif', 'cmyk.jpg', 'phone.jpg'])
def test_metadata_are_kept(name, scans, colored):
    before,after = tags(scans/name),tags(colored[0]/name)
    assert {k: after.get(k) for k in KEPT}=={k: before[k] for k in KEPT}
    for k in 'IFD0:Orientation','XMP-tiff:Orientation':
        assert after.get(k) in ('Horizontal (normal)', None)
    if name=='gray16.tif':
        assert after['IFD0:XResolution']==600
    assert 'sRGB' in after['ICC_Profile:ProfileDescription']

@pytest.mark.parametrize('name', ['gray16.tif', 'sepia.tif', 'icon.png'])
def test_lightness_is_that_of_the_original(name, scans, colored):
    assert faithful(L_of(pixels(colored[0]/name)), upright(scans/name))

@pytest.mark.parametrize('name', ['campus', 'cmyk', 'phone'])
def test_lightness_of_a_jpeg_written_as_tiff(name, scans, lossless):
    assert files(lossless)==['campus.tif', 'cmyk.tif', 'phone.tif']
    x = pixels(lossless/f'{name}.tif')
    assert x.dtype==np.uint8
    assert tags(lossless/f'{name}.tif')['XMP-iptcExt:DigitalSourceType']==SOURCE
    assert faithful(L_of(x), upright(scans/f'{name}.jpg'))

def test_cmyk_without_profile_is_remarked(colored):
    assert 'cmyk.jpg: CMYK without a profile' in colored[1].stderr

def test_nobody_asks_the_network(colored, network):
    assert not colored[2]
    code = "import urllib.request as u; u.urlopen('http://example.com', timeout=5)"
    r = subprocess.run([sys.executable, '-c', code], env=network[0], capture_output=True)
    assert r.returncode and network[1].read_text() # the guard does guard
    network[1].write_text('')

# ---- where it goes ----
def test_one_photograph_goes_beside_itself(scans, run, call, tmp_path):
    name,made = 'my icon é.png','my icon é.colorized.png'
    shutil.copy(scans/'icon.png', tmp_path/name)
    before = (tmp_path/name).read_bytes()
    r = call(name, '--steps', 1, cwd=tmp_path)
    assert r.stdout==made+'\n' and not r.stderr
    assert files(tmp_path)==[made, name] and (tmp_path/name).read_bytes()==before
    first = (tmp_path/made).read_bytes()
    r = call(name, '--steps', 2, cwd=tmp_path, code=1) # not over what is there
    assert made in r.stderr and '--overwrite' in r.stderr
    assert (tmp_path/made).read_bytes()==first
    run(name, '--steps', 1, '--overwrite', cwd=tmp_path)
    assert (tmp_path/made).read_bytes()==first # the same bytes again, in another process
    r = call(name, made, '--steps', 1, '--overwrite', cwd=tmp_path) # as *.png would say
    assert r.stdout==made+'\n' and 'passed over' in r.stderr and len(files(tmp_path))==2
    by_hand = '--source-type', 'painted by hand', '--overwrite'
    assert '--source-type' in call(name, *by_hand, cwd=tmp_path, code=1).stderr

def test_never_over_the_original(scans, call, tmp_path):
    shutil.copy(scans/'icon.png', tmp_path/'a.png')
    before = (tmp_path/'a.png').read_bytes()
    for out in 'a.png',tmp_path:
        r = call('a.png', '--out', out, '--overwrite', '--steps', 1, cwd=tmp_path, code=1)
        assert 'a.png' in r.stderr and 'original' in r.stderr and not r.stdout
        assert files(tmp_path)==['a.png'] and (tmp_path/'a.png').read_bytes()==before

def test_never_over_another_original(scans, call, tmp_path):
    "Nor over a photograph that was not named, whatever --overwrite says"
    shutil.copy(scans/'gray16.tif', tmp_path/'a.tif')
    shutil.copy(PHOTO, tmp_path/'a.jpg')
    contents = lambda: {o: (tmp_path/o).read_bytes() for o in files(tmp_path)}
    before,options = contents(),('--out', '.', '--format', 'jpeg', '--overwrite', '--steps', 1)
    for photos in ('a.tif', 'a.jpg'),('a.tif',):
        r = call(*photos, *options, cwd=tmp_path, code=1)
        assert 'a.jpg' in r.stderr and not r.stdout and contents()==before

def test_two_photographs_of_one_name(scans, call, tmp_path):
    for o in '1910','1920':
        (tmp_path/o).mkdir()
        shutil.copy(scans/'icon.png', tmp_path/o/'p.png')
    both,out = ('1910/p.png', '1920/p.png'),('--out', 'color')
    r = call(*both, *out, '--overwrite', '--steps', 1, cwd=tmp_path, code=2)
    assert all(o in r.stderr for o in both) and not (tmp_path/'color').exists()
    assert '1920' in call('1920', '1910/p.png', *out, cwd=tmp_path, code=2).stderr
    r = call('1910/p.png', '1910/p.png', *out, '--steps', 1, cwd=tmp_path)
    assert r.stdout=='color/p.png\n'

def test_a_name_that_is_no_text(scans, command, network, tmp_path):
    shutil.copy(scans/'icon.png', os.fsencode(tmp_path)+b'/caf\xe9.png')
    r = subprocess.run([command, b'caf\xe9.png', '--steps', '1'], cwd=tmp_path,
        env={**network[0], 'PYTHONIOENCODING': 'utf-8:strict'}, capture_output=True)
    assert r.returncode==0 and r.stdout==b'caf\\udce9.colorized.png\n' and not r.stderr

# ---- what can go wrong ----
def test_a_broken_file_among_good_ones(scans, call, tmp_path):
    shutil.copy(scans/'icon.png', tmp_path/'good.png')
    (tmp_path/'broken.jpg').write_bytes(PHOTO.read_bytes()[:20000])
    (tmp_path/'text.jpg').write_text('not a photograph')
    (tmp_path/'red\x1b[31m.jpg').write_text('not a photograph')
    r = call('broken.jpg', 'text.jpg', 'red\x1b[31m.jpg', 'good.png', '--steps', 1, cwd=tmp_path,
             code=1)
    assert r.stdout=='good.colorized.png\n' and 'good.png' not in r.stderr
    assert 'broken.jpg' in r.stderr and 'text.jpg' in r.stderr
    assert r'red\x1b[31m.jpg' in r.stderr and '\x1b' not in r.stderr
    assert files(tmp_path)==['broken.jpg', 'good.colorized.png', 'good.png', 'red\x1b[31m.jpg',
                             'text.jpg']

@pytest.mark.skipif(not Path('/proc/version').exists(), reason="even root may not write there")
@pytest.mark.slow
def test_a_target_that_cannot_be_written(scans, call, tmp_path):
    shutil.copy(scans/'icon.png', tmp_path/'a.png')
    (tmp_path/'file').write_text('in the way')
    for out in '/proc/a.png','/proc/colors','file','file/colors':
        r = call('a.png', '--out', out, '--steps', 1, cwd=tmp_path, code=1)
        assert not r.stdout and out in r.stderr and len(r.stderr.strip().split('\n'))==1
    assert files(tmp_path)==['a.png', 'file']

def test_a_file_size_limit_leaves_nothing_behind(scans, run, tmp_path):
    "What a full quota looks like; needs no privileges"
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40000, 40000))
    r = run(scans/'sepia.tif', '--out', tmp_path, '--steps', 1, code=1, preexec_fn=limit)
    assert 'sepia.tif' in r.stderr and not r.stdout and not files(tmp_path)

def test_a_full_disk_leaves_nothing_behind(scans, command, network, tmp_path):
    "A disk of 100 kB in a mount namespace of its own: gone with the process"
    if not shutil.which('unshare'):
        pytest.skip("needs unshare")
    script = '''mount -t tmpfs -o size=100k tmpfs "$1" || exit 77
        "$2" "$3" --out "$1" --steps 1
        echo "code $?"
        ls -A "$1"'''
    own = '-m' if os.getuid()==0 else '-rm'
    r = subprocess.run(['unshare', own, 'sh', '-c', script, 'sh', tmp_path, command,
        scans/'sepia.tif'], env=network[0], capture_output=True, text=True, timeout=300)
    if r.returncode==77 or 'unshare' in r.stderr:
        pytest.skip(f"no small disk here: {r.stderr.strip()}")
    assert r.stdout=='code 1\n' and 'Traceback' not in r.stderr
    assert 'sepia.tif' in r.stderr and 'space' in r.stderr.lower()

@pytest.fixture(scope='module')
def large(tmp_path_factory):
    "12 megapixels"
    f = tmp_path_factory.mktemp('large')/'large.jpg'
    gray = Image.open(PHOTO).convert('L')
    gray.resize((4000, 3000), Image.Resampling.BICUBIC).save(f, quality=90)
    return f

@pytest.mark.slow
def test_twelve_megapixels(large, call, tmp_path):
    call(large, '--out', tmp_path/'out.png', '--steps', 1)
    Image.MAX_IMAGE_PIXELS = None
    x = np.asarray(Image.open(tmp_path/'out.png'))
    assert x.shape==(3000, 4000, 3) and x.dtype==np.uint8
    every = np.s_[1::4,1::4] # rgb2lab takes its time
    gray = np.asarray(Image.open(large))[every]
    assert faithful(L_of(x[every]), L_of(np.stack([gray]*3, -1)))

# ---- Ctrl-C ----
def start(command, network, *args):
    def hear_ctrl_c():
        "Shells start background jobs with SIGINT ignored, and children inherit that"
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen([command, *map(str, args)], env=network[0], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, preexec_fn=hear_ctrl_c)

@pytest.mark.slow
def test_an_interrupted_run_leaves_no_partial_file(large, command, network, tmp_path):
    "PNG takes its time; a TIFF may be whole before a busy machine has sent the signal"
    deep = '--format', 'png', '--bits', 16, '--steps', 1
    p = start(command, network, large, '--out', tmp_path, *deep)
    if hasattr(os, 'setpriority'):
        os.setpriority(os.PRIO_PROCESS, p.pid, 10) # who watches comes first
    until = time.monotonic()+200
    while not any(tmp_path.iterdir()) and p.poll() is None and time.monotonic()<until:
        time.sleep(0.005)
    parts = [o for o in tmp_path.iterdir() if o.name.startswith('.') and o.suffix=='.tmp']
    assert parts, "no file was being written when the signal came"
    p.send_signal(signal.SIGINT)
    out,err = p.communicate(timeout=200)
    assert p.returncode==130 and 'Traceback' not in err, (p.returncode, err)
    assert 'interrupted' in err and not out and not files(tmp_path)

def computed(pid):
    "Seconds that a process computed, None where that cannot be known"
    if not Path('/proc/self/stat').exists():
        return None
    fields = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()
    return (int(fields[11])+int(fields[12]))/os.sysconf('SC_CLK_TCK')

def test_interrupted_before_anything_is_written(scans, command, network, tmp_path):
    "While the network computes; loading is over after 3 s of computing"
    endless = '--steps', 500, '--samples', 1000
    p = start(command, network, scans/'campus.jpg', '--out', tmp_path, *endless)
    known,until = computed(p.pid) is not None,time.monotonic()+200
    if not known:
        time.sleep(5)
    while known and p.poll() is None and time.monotonic()<until and computed(p.pid)<=3:
        time.sleep(0.05)
    p.send_signal(signal.SIGINT)
    out,err = p.communicate(timeout=200)
    assert p.returncode==130 and 'Traceback' not in err and not files(tmp_path), err

# ---- samples, depth, hints ----
def test_samples_and_contact_sheet(scans, call, tmp_path):
    more = '--samples', 3, '--seed', 7, '--steps', 2, '--uncertainty'
    r = call(scans/'phone.jpg', '--out', tmp_path/'a.png', *more)
    names = [*[f'a-seed{i}.png' for i in (7,8,9)], 'a-samples.png', 'a-uncertainty.png']
    assert r.stdout.split()==[str(tmp_path/o) for o in names]
    assert files(tmp_path)==sorted(names)
    t = [tags(tmp_path/o) for o in names]
    assert all(o['XMP-iptcExt:DigitalSourceType']==SOURCE for o in t)
    assert len({o['XMP-colorized:ModelSHA256'] for o in t})==1
    assert [o['XMP-colorized:Seed'] for o in t[:3]]==[7, 8, 9]
    x = [pixels(tmp_path/o) for o in names]
    assert all(o.shape==(347, 540, 3) for o in x[:3]+x[4:])
    assert (x[0]!=x[1]).any() and (x[1]!=x[2]).any()
    assert x[3].shape[0]>347 and x[3].shape[1]>540

@pytest.mark.slow
def test_a_sample_does_not_depend_on_its_company(scans, call, tmp_path):
    for n,seed in (2,3),(1,4):
        call(scans/'icon.png', '--out', tmp_path/f'{n}.png', '--samples', n, '--seed', seed,
            '--steps', 2)
    assert (tmp_path/'2-seed4.png').read_bytes()==(tmp_path/'1.png').read_bytes()

@pytest.mark.slow
def test_sixteen_bits_from_eight(scans, call, tmp_path):
    import imagecodecs
    deep = '--bits', 16, '--steps', 1
    call(scans/'campus.jpg', '--out', tmp_path/'a.png', *deep)
    assert depth(tmp_path/'a.png')==16
    x = imagecodecs.png_decode((tmp_path/'a.png').read_bytes())
    assert x.dtype==np.uint16 and len(np.unique(x))>256
    assert faithful(L_of(x), upright(scans/'campus.jpg'))
    r = call(scans/'icon.png', '--out', tmp_path/'b.jpg', *deep, code=1)
    assert '8 bits' in r.stderr and not (tmp_path/'b.jpg').exists()

def test_a_hint_may_have_a_radius(scans, call, tmp_path):
    "In pixels; one that would not be seen is the default"
    for name,hint in dict(plain='8,8,red', least='8,8,red,0', broad='8,8,255,0,0,6').items():
        call(scans/'icon.png', '--out', tmp_path/f'{name}.png', '--hint', hint, '--steps', 1)
    plain,least,broad = [pixels(tmp_path/f'{o}.png') for o in ('plain', 'least', 'broad')]
    assert (plain==least).all() and (plain!=broad).any()

@pytest.mark.slow
def test_hints_on_the_command_line_and_as_overlay(scans, call, tmp_path):
    "The same stroke both ways: its place takes on the color"
    x,y = 300,200
    overlay = np.zeros((347,540,4), np.uint8)
    overlay[y-12:y+13,x-12:x+13] = 255,0,0,255
    Image.fromarray(overlay).save(tmp_path/'strokes.png')
    # a point is one cell: what one does depends on what the network makes of red there
    places = (x,y),(300,160),(250,180),(100,300),(400,300)
    points = [o for px,py in places for o in ('--hint', f'{px},{py},#ff0000')]
    ways = dict(over=('--hints', tmp_path/'strokes.png'), points=points, plain=())
    for name,hints in ways.items():
        call(scans/'gray16.tif', '--out', tmp_path/f'{name}.tif', *hints, '--steps', 1)
    red = {o: color.rgb2lab(pixels(tmp_path/f'{o}.tif')/65535)[...,1] for o in ways}
    a = {o: [v[py-1:py+2,px-1:px+2].mean() for px,py in places] for o,v in red.items()}
    assert a['over'][0]>max(20, a['plain'][0]+10), a
    assert np.mean(a['points'])>np.mean(a['plain'])+10, a
    for name in 'over','plain':
        settings = json.loads(tags(tmp_path/f'{name}.tif')['XMP-colorized:Settings'])
        assert settings['hints'] is (name=='over')

@pytest.mark.parametrize('error', [
    MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to …")],
    ids=['Python', 'PyTorch'])
def test_too_little_memory_for_one_of_several(scans, main, tmp_path, monkeypatch, error):
    "The others are colored, and that one is named"
    from colorized.inference.colorizer import Colorizer
    real = Colorizer.colorize
    def colorize(self, photo, *args, **kwargs):
        if photo.name=='sepia.tif':
            raise error
        return real(self, photo, *args, **kwargs)
    monkeypatch.setattr(Colorizer, 'colorize', colorize)
    args = '--out', tmp_path/'out', '--steps', '1'
    code,out,err = main(scans/'sepia.tif', scans/'icon.png', *args)
    said = f"colorized: {scans/'sepia.tif'}: there is too little memory\n"
    assert code==1 and out.split()==[str(tmp_path/'out/icon.png')] and err==said
    code,out,err = main(scans/'sepia.tif', *args)
    assert (code, out, err)==(1, '', said)

def test_a_name_that_is_too_long_fails_alone(scans, main, tmp_path):
    "`.colorized` makes it longer than a disk takes"
    long,short = tmp_path/('x'*246+'.png'),tmp_path/'a.png'
    for o in long,short: shutil.copy(scans/'icon.png', o)
    code,out,err = main(long, short, '--steps', '1')
    assert code==1 and out.split()==[str(tmp_path/'a.colorized.png')]
    assert err.count('\n')==1 and 'x'*246 in err

@pytest.mark.parametrize('suffix', ['jxl', 'svg', 'nef', 'heic', 'gif'])
def test_out_with_the_suffix_of_another_format_is_no_folder(scans, main, tmp_path, suffix):
    code,_,err = main(scans/'icon.png', '--out', tmp_path/f'o.{suffix}', '--steps', '1')
    assert code==2 and f'.{suffix} cannot be written' in err and not [*tmp_path.iterdir()]

def test_a_photograph_that_a_setting_swallowed_is_named(scans, main):
    code,_,err = main('--set', 'average=0', scans/'icon.png')
    assert code==2 and f"--set takes KEY=VALUE, got '{scans/'icon.png'}'" in err

def test_a_photograph_that_is_named_twice_is_colored_once(scans, main, tmp_path, monkeypatch):
    shutil.copy(scans/'icon.png', tmp_path/'a.png')
    monkeypatch.chdir(tmp_path)
    code,out,_ = main('a.png', './a.png', '--dry-run')
    assert code==0 and out=='a.png -> a.colorized.png\n'

def test_a_map_has_at_most_1024_pixels(main, tmp_path):
    "A side, like those of a folder, whatever the photograph has"
    Image.open(PHOTO).convert('L').resize((1500, 750)).save(tmp_path/'a.jpg')
    code,out,_ = main(tmp_path/'a.jpg', '--uncertainty', '--steps', '1')
    assert code==0 and pixels(tmp_path/'a.colorized-uncertainty.png').shape==(512, 1024, 3)

# ---- nothing is computed ----
def test_dry_run_touches_nothing(scans, main, tmp_path):
    two = scans/'icon.png',scans/'sepia.tif'
    code,out,_ = main(*two, '--out', tmp_path/'out', '--dry-run')
    want = [f'{o} -> {tmp_path/"out"/o.name}' for o in two]
    assert code==0 and out.strip().split('\n')==want
    assert not (tmp_path/'out').exists()

def test_a_dry_run_says_all_that_would_be(scans, main, tmp_path):
    "Every file of it, and what would fail; the code is that of the run"
    photo,out = scans/'icon.png',tmp_path/'a.png'
    more = photo, '--out', out, '--samples', '2', '--uncertainty', '--dry-run'
    names = ['a-seed0.png', 'a-seed1.png', 'a-samples.png', 'a-uncertainty.png']
    code,said,_ = main(*more)
    assert code==0 and said.splitlines()==[f'{photo} -> {tmp_path/o}' for o in names]
    assert main(photo, '--out', out, '--steps', '1')[0]==0
    plain = photo, '--out', out, '--dry-run'
    code,said,_ = main(*plain)
    line = f'{photo} -> {out}: '
    assert (code, said)==(1, f'{line}would fail: {out} exists already; --overwrite replaces it\n')
    code,said,_ = main(*plain, '--overwrite')
    assert (code, said)==(0, f'{line}exists already, would be replaced\n')
    shutil.copy(photo, out)
    assert main(*plain, '--overwrite')[:2]==main(*plain)[:2]
    assert 'not even by --overwrite' in main(*plain)[1] and files(tmp_path)==['a.png']
    assert main(*plain, '--hint', 'red')[0]==2

def test_a_dry_run_reads_the_photographs_and_tries_the_hints(scans, main, tmp_path, monkeypatch):
    "And says what the run would"
    good,junk,strokes = (tmp_path/o for o in ('good.png', 'junk.jpg', 'strokes.png'))
    shutil.copy(scans/'icon.png', good)
    junk.write_text('not a photograph')
    code,said,_ = main(good, junk, '--dry-run')
    lines = said.splitlines()
    assert code==1 and lines[0]==f"{good} -> {tmp_path/'good.colorized.png'}"
    assert lines[1].startswith(f"{junk} -> {tmp_path/'junk.colorized.jpg'}: would fail: ")
    assert lines[1].partition('would fail: ')[2] in main(junk)[2]
    for hint,size,paint in (('16,3,red', None, None), (None, (15, 16), 0), (None, (16, 16), 0)):
        if size:
            Image.new('RGBA', size, (0, 0, 0, paint)).save(strokes)
        known = ('--hint', hint) if hint else ('--hints', strokes)
        code,said,_ = main(good, *known, '--dry-run')
        why = said.strip().partition(': would fail: ')[2]
        assert code==1 and why and main(good, *known, '--steps', '1')[2]==f'colorized: {why}\n'
    assert main(good, '--hint', '15,3,red', '--dry-run')[0]==0
    assert files(tmp_path)==['good.png', 'junk.jpg', 'strokes.png']

def test_hints_in_a_file(scans, main, tmp_path):
    "The same photograph as by options, which `--dry-run` tries as well"
    points,one = tmp_path/'points.json',('--hint', '8,8,red', '--hint', '3,4,0,0,128,2')
    points.write_text('[[8, 8, "red"], [3, 4, [0, 0, 128], 2]]')
    for name,hints in dict(a=one, b=('--hints', points)).items():
        more = '--out', tmp_path/f'{name}.png', '--steps', '1'
        assert main(scans/'icon.png', *hints, *more)[0]==0
    assert (tmp_path/'a.png').read_bytes()==(tmp_path/'b.png').read_bytes()
    points.write_text('[[8, 8]]')
    code,said,_ = main(scans/'icon.png', '--hints', points, '--out', tmp_path/'c.png', '--dry-run')
    assert code==1 and 'would fail: hint [8, 8] must be' in said

def test_a_folder_whose_name_looks_like_a_file(scans, main, tmp_path):
    "If it is there, has a slash, or holds several; or if --format says what a file would be"
    one,out = scans/'icon.png',tmp_path/'color.v2'
    for photos,name,more in (([one], f'{out}/', ()), ([one, scans/'sepia.tif'], out, ()),
                             ([one], out, ('--format', 'png'))):
        code,said,_ = main(*photos, '--out', name, '--dry-run', *more)
        assert code==0 and said.splitlines()[0]==f"{one} -> {out/'icon.png'}"
    assert main(one, '--out', out, '--dry-run')[0]==2
    out.mkdir()
    assert main(one, '--out', out, '--dry-run')[0]==0

@pytest.mark.parametrize('format,suffix,kind', [('jpg', '.jpg', 'JPEG'), ('TIF', '.tif', 'TIFF')])
def test_short_names_of_formats(scans, main, tmp_path, model, format, suffix, kind):
    "Of one photograph, and of a folder"
    (tmp_path/'in').mkdir()
    shutil.copy(scans/'icon.png', tmp_path/'in')
    quick = '--format', format, '--steps', '1', '--model', model
    assert main(scans/'icon.png', '--out', f"{tmp_path/'one'}/", *quick)[0]==0
    assert main(tmp_path/'in', '--out', tmp_path/'many', '--workers', '0', *quick)[0]==0
    for folder in 'one', 'many':
        assert Image.open(tmp_path/folder/f'icon{suffix}').format==kind

def test_what_could_not_be_written_is_refused_before_anything_is_computed(scans, main, tmp_path):
    for more in (),('--dry-run',):
        code,said,err = main(scans/'icon.png', '--out', tmp_path/'a.jpg', '--bits', '16', *more)
        assert (code, said)==(1, '') and 'JPEG holds 8 bits only, 16 were asked for' in err
    missing = '--hints', tmp_path/'none.png', '--dry-run'
    code,said,err = main(scans/'icon.png', '--out', tmp_path/'a.png', *missing)
    assert (code, said)==(1, '') and 'none.png: no such file' in err and not files(tmp_path)

def test_impossible_settings_are_refused_once_and_for_all_photographs(scans, main, tmp_path):
    two = scans/'icon.png',scans/'sepia.tif'
    for setting,value in ('steps', '0'),('saturation', '-1'),('seed', str(2**64-7)):
        for more in (),('--dry-run',):
            code,said,err = main(*two, '--out', tmp_path/'out', '--uncertainty',
                f'--{setting}', value, *more)
            assert (code, said)==(1, '') and err.count(f'{setting} must lie in')==1, err
    assert not files(tmp_path)

def test_no_folder_is_left_where_nothing_was_done(scans, main, tmp_path):
    (tmp_path/'empty').mkdir()
    code,_,err = main(tmp_path/'empty', '--out', tmp_path/'out')
    assert code==1 and 'holds no photographs' in err
    more = '--out', tmp_path/'out', '--model', tmp_path/'missing.safetensors'
    assert main(scans/'icon.png', *more)[0]==main(tmp_path/'empty', *more)[0]==1
    assert [o.name for o in tmp_path.iterdir()]==['empty']

def test_hint_before_the_photograph(scans, main, tmp_path):
    code,out,err = main('--hint', '3,3,red', scans/'icon.png', '--out', tmp_path/'a.png',
        '--dry-run')
    assert code==0 and 'a.png' in out, err

def test_a_device_that_is_not_there(scans, main, tmp_path):
    import torch
    if torch.cuda.is_available():
        pytest.skip("CUDA is there")
    code,_,err = main(scans/'icon.png', '--out', tmp_path/'a.png', '--device', 'cuda')
    assert code==1 and 'cuda' in err.lower() and not files(tmp_path)

# ---- references ----
@pytest.fixture
def then_and_now(tmp_path):
    "A gray photograph, and a color photograph of the same cat"
    from skimage import data
    cat = data.chelsea()
    Image.fromarray(cat[:,:225]).save(tmp_path/'now.png')
    Image.fromarray(cat[:,225:]).convert('L').save(tmp_path/'then.png')
    return tmp_path

def test_a_reference_gives_its_colors_and_is_named(run, then_and_now):
    run('then.png', '--reference', 'now.png', '--out', 'told.png', cwd=then_and_now)
    run('then.png', '--out', 'plain.png', cwd=then_and_now)
    told,plain = (pixels(then_and_now/f'{o}.png').astype(float) for o in ('told', 'plain'))
    assert np.abs(told-plain).mean()>3
    said = tags(then_and_now/'told.png')
    assert 0.3<float(said['XMP-colorized:EvidenceShare'])<1
    assert 'now.png' in said['XMP-colorized:Settings']
    again = run('info', 'told.png', cwd=then_and_now).stdout.splitlines()[-1].split(': ')[1]
    words = again.split()[1:]
    assert words[1]=='--reference=now.png'
    run('then.png', *words[1:], cwd=then_and_now)
    assert np.array_equal(pixels(then_and_now/'again.png'), pixels(then_and_now/'told.png'))

def test_a_folder_of_references_and_those_that_cannot_be_used(run, then_and_now):
    "Each is named, the photograph is still colored, and the exit status says so"
    folder = then_and_now/'sources'
    folder.mkdir()
    (then_and_now/'now.png').rename(folder/'now.png')
    shutil.copy(then_and_now/'then.png', folder/'gray.png')
    (folder/'torn.jpg').write_bytes(b'\xff\xd8\xff')
    r = run('then.png', '--reference', 'sources', cwd=then_and_now, code=1)
    said = r.stderr.splitlines()
    assert len(said)==2 and all(o.endswith(': colored without it') for o in said)
    assert 'gray.png' in said[0] and 'torn.jpg' in said[1]
    made = tags(then_and_now/'then.colorized.png')
    assert float(made['XMP-colorized:EvidenceShare'])>0.3

@pytest.mark.parametrize('options,why', [
    (['then.png', '--reference', 'none.jpg'], '--reference none.jpg: no such file'),
    (['.', '--out', 'o', '--reference', 'now.png'], '--reference are for single photographs')])
def test_references_that_cannot_be(run, then_and_now, options, why):
    before = files(then_and_now)
    assert why in run(*options, cwd=then_and_now, code=1 if 'none' in why else 2).stderr
    assert files(then_and_now)==before
