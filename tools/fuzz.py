"""Damaged files by the thousand, for every reader.

    python tools/fuzz.py READER … [--minutes 10] [--seeds FOLDER] [--out build/fuzz]

Atheris (libFuzzer for Python; the extra fuzzing) changes real files and keeps the changes that
reach new lines of ours; where it cannot be installed, files are changed blindly. What it starts
from is written here by the libraries that we read with, and may be more: files below FOLDER, such
as those that `benchmarks/run.py corpora` takes out of clones.

A refusal is right. Everything else is kept in OUT/READER as `found-…`, each cause once, with a text
beside it: an exception, more than 20 s of a core, memory of more than four times what the limit of
pixels allows. `--again FILE …` tries files once more. `--summary` prints core time and findings.
"""
import argparse, hashlib, io, json, os, random, resource, shutil, signal, struct, subprocess
import sys, tempfile, time, traceback, zlib
from contextlib import contextmanager
from pathlib import Path

SECONDS = 20
PIXELS = 4e6                       # limit given to readers of photographs
MOST_BYTES = 4*int(PIXELS)*4*2     # four times four channels of 16 bits
LONGEST = 2**16                    # of an input
ROOT = Path(__file__).resolve().parent.parent

# What is read. Each takes bytes, and raises nothing but what is no refusal.

def photograph(data):
    from colorized.model.sampling import working_shape
    from colorized.photo.reading import read_scan
    from colorized.photo.scan import ScanError
    try: scan = read_scan(data, max_pixels=PIXELS)
    except ScanError: return
    scan.remarks
    scan.thumbnail_L(working_shape(scan.shape, 64, min_size=64))
    carried(scan)

def carried(scan):
    "Its metadata, into a small file of each format and out of it again"
    import numpy as np
    from dataclasses import replace
    from colorized.photo.provenance import Provenance, merge_xmp
    from colorized.photo.formats import EmbeddedMetadata, encode_image
    from colorized.photo.reading import read_scan
    xmp,bare = merge_xmp(scan.xmp, Provenance())[0],merge_xmp(None, Provenance())[0]
    metadata = EmbeddedMetadata(xmp, bare, scan.exif, scan.iptc, scan.dpi)
    for format in 'TIFF','JPEG','PNG','WEBP':
        f = io.BytesIO()
        encode_image(f, np.zeros((2,3,3), np.uint8), format, replace(metadata))
        read_scan(f.getvalue())

def xmp(data):
    from colorized.photo.provenance import Provenance, merge_xmp, read_provenance
    from colorized.photo.xmp import parse_xmp
    merged,remarks = merge_xmp(data, Provenance(seed=1))
    parse_xmp(merged)
    with file_of(data) as path: read_provenance(path)
    with file_of(merged) as path:
        assert read_provenance(path)['Seed']=='1', "its own words are lost"

def exif(data):
    from colorized.photo.metadata import clean_exif
    from colorized.photo.exif import read_exif
    from colorized.photo.scan import Scan
    import numpy as np
    try: found = read_exif(io.BytesIO(data))
    except ValueError: return
    block = clean_exif(found, (2, 3), (300., 300.), [])
    read_exif(io.BytesIO(block[6:]))
    carried(Scan(np.zeros((2,3), np.uint8), exif=block))

def icc(data):
    import numpy as np
    from colorized.photo.profiles import usable_profile
    from colorized.photo.scan import Scan
    for x in np.zeros((4,5), np.uint8),np.zeros((4,5,3), np.uint16):
        profile = usable_profile(data, x.ndim==2, [])
        if profile: Scan(x, icc=profile).thumbnail_L(2)

def info(data):
    from colorized.files import parse_json
    from colorized.iiif.fetch import IIIFError
    from colorized.iiif.service import parse_info
    from colorized.iiif.manifest import service_credit
    try:
        said = parse_json(data)
        parse_info(said, 'http://127.0.0.1/info.json').candidates()
        service_credit(said)
    except (IIIFError, ValueError): return # the fetcher takes a `ValueError` for a refusal

def manifest(data):
    from colorized.iiif.choice import finish_manifest, find_languages, rights_remark
    from colorized.iiif.fetch import IIIFError
    from colorized.iiif.manifest import find_pictures, read_manifest
    with file_of(data) as path: # no fetcher: a file is not fetched
        try: found = read_manifest(path, None, lambda kind: f'http://127.0.0.1/{kind}')
        except IIIFError: return
        rights_remark(found)
        find_pictures(found)
        find_languages(found)
        finish_manifest(found, str(path), 'http://127.0.0.1', 1)

def checkpoint(data):
    from colorized.model.checkpoint import load_checkpoint
    with file_of(data) as path:
        try: load_checkpoint(path)
        except ValueError as e: assert str(path) in str(e), f"does not name the file: {e}"

def report(data):
    from colorized.batch.ledger import Report, read_report
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder)/'report.jsonl').write_bytes(data)
        read_report(folder)
        try: opened = Report(Path(folder))
        except FileExistsError as e:
            assert 'report.jsonl' in str(e), f"does not name the file: {e}"
            return
        opened.knows('a.jpg')
        opened.add(dict(path='b.jpg'))
        opened.close()
        assert opened.error is None and 'b.jpg' in read_report(folder), opened.error

def record(data):
    from colorized.fleet.record import read_record
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder)/'record').mkdir()
        (Path(folder)/'record/1.parquet').write_bytes(data)
        try: read_record(folder).to_pylist()
        except ValueError as e: assert '1.parquet' in str(e), f"does not name the shard: {e}"

@contextmanager
def file_of(data):
    "The bytes as a file"
    with tempfile.NamedTemporaryFile(dir='/dev/shm' if Path('/dev/shm').is_dir() else None) as f:
        f.write(data)
        f.flush()
        yield Path(f.name)

# What to start from

def written(format, **more):
    "A small picture with all kinds of metadata, as Pillow writes it"
    from PIL import Image, ImageCms
    tags = Image.Exif()
    tags[270],tags[274],tags[282] = 'Shelfmark 12',6,300
    tags.get_ifd(34665)[36867] = '1912:05:06 07:08:09'
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    for mode in more.pop('modes', ('L', 'RGB')):
        f = io.BytesIO()
        im = Image.linear_gradient('L').resize((24,16)).convert(mode)
        carried = {} if format in ('GIF', 'BMP') else dict(exif=tags, icc_profile=profile)
        im.save(f, format, **carried, **more)
        yield f.getvalue()

def tiffs():
    import numpy as np, tifffile
    x = np.arange(24*16, dtype=np.uint16).reshape(16, 24)*170
    kinds = (dict(), dict(compression='lzw'), dict(bigtiff=True, byteorder='>'),
             dict(tile=(16,16), compression='adobe_deflate', predictor=True),
             dict(imagej=True, metadata=dict(unit='um')))
    for more in kinds:
        for y in x,(x>>8).astype(np.uint8),(x/65535).astype(np.float32):
            f = io.BytesIO()
            tifffile.imwrite(f, y, **more)
            yield f.getvalue()
    yield from written('TIFF', modes=('1', 'P', 'CMYK', 'RGBA'))

def heifs():
    import pillow_heif
    pillow_heif.register_heif_opener()
    yield from written('HEIF')
    yield from written('AVIF')

def packets():
    from colorized.photo.provenance import Provenance, merge_xmp
    packet = merge_xmp(None, Provenance('m', 'ab'*32, 7, 6, dict(a=1)))[0]
    yield packet
    yield packet.decode().encode('utf-16')
    yield nested_xmp(20)

def nested_xmp(n):
    "A packet with so many elements within each other"
    ns = 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    return f'<rdf:RDF {ns}>{"<a>"*n}{"</a>"*n}</rdf:RDF>'.encode()

def blocks():
    yield from (o[o.index(b'Exif\0\0')+6:][:4000] for o in written('JPEG'))
    yield from tiffs()

def profiles():
    import imagecodecs
    for kind,more in (('srgb', {}), ('gray', dict(gamma=1.8)), ('adobergb', {})):
        yield bytes(imagecodecs.cms_profile(kind, **more))

def infos():
    size = dict(width=6000, height=4000)
    tiles = [dict(width=512, scaleFactors=[1,2,4])]
    yield json.dumps({'@context': 'http://iiif.io/api/image/2/context.json', '@id': 'http://a/b',
        'profile': ['http://iiif.io/api/image/2/level1.json', dict(maxWidth=1000)], **size,
        'tiles': tiles, 'sizes': [dict(width=600, height=400)], 'attribution': 'A'}).encode()
    yield json.dumps({'@context': 'http://iiif.io/api/image/3/context.json', 'id': 'http://a/b',
        'type': 'ImageService3', 'profile': 'level0', **size, 'tiles': tiles,
        'rights': 'http://a', 'requiredStatement': dict(label={}, value={})}).encode()

def manifests():
    service = {'@context': 'http://iiif.io/api/image/2/context.json', '@id': 'http://a/1',
               'profile': 'http://iiif.io/api/image/2/level1.json'}
    picture = {'@id': 'http://a/1.jpg', '@type': 'dctypes:Image', 'service': service}
    painted = {'@type': 'oa:Annotation', 'motivation': 'sc:painting', 'resource': picture,
               'on': 'http://a/c'}
    canvas = {'@id': 'http://a/c', '@type': 'sc:Canvas', 'label': [{'@value': 'é'}], 'width': 3,
              'height': 2, 'images': [painted], 'otherContent': [{'@id': 'http://a/l'}]}
    yield json.dumps({'@context': 'http://iiif.io/api/presentation/2/context.json',
        '@id': 'http://a/m', '@type': 'sc:Manifest', 'label': 'Album', 'attribution': 'A',
        'license': 'http://a/l', 'metadata': [{'label': 'a', 'value': ['b', {'@value': 'c'}]}],
        'structures': [{'@id': 'r', '@type': 'sc:Range', 'canvases': ['http://a/c']}],
        'sequences': [{'canvases': [canvas]}]}).encode()
    choice = dict(type='Choice', items=[dict(id='http://a/1.jpg', type='Image', service=[service])])
    painted = dict(id='a', type='Annotation', motivation='painting', target='http://a/c',
                   body=choice)
    canvas = dict(id='http://a/c', type='Canvas', label=dict(en=['1 recto']), width=3, height=2,
                  items=[dict(id='p', type='AnnotationPage', items=[painted])])
    yield json.dumps({'@context': 'http://iiif.io/api/presentation/3/context.json',
        'id': 'http://a/m', 'type': 'Manifest', 'label': dict(none=['Album']),
        'requiredStatement': dict(label=dict(en=['By']), value=dict(en=['A'])),
        'provider': [dict(id='http://a', type='Agent', label=dict(en=['A']))],
        'rights': 'http://a/l', 'items': [canvas]}).encode()

def checkpoints():
    import torch
    from colorized.model.checkpoint import ModelConfig, save_checkpoint
    from colorized.model.unet import ColorNet, UNetConfig
    torch.manual_seed(0)
    cfg = UNetConfig(widths=(8,), attention=(False,), encoder=None, groups=4)
    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(Path(folder)/'a', ColorNet(cfg), ModelConfig(cfg))
        yield (Path(folder)/'a').read_bytes()

def reports():
    rows = [dict(path='a.jpg', output='a.jpg', warnings=['x'], error=None, seed=0),
            dict(path='c.tif', output=None, warnings=None, error='c.tif: torn')]
    yield b''.join(json.dumps(o).encode()+b'\n' for o in rows)

def records():
    from colorized.fleet.record import Record
    from colorized.fleet.store import Store
    with tempfile.TemporaryDirectory() as folder:
        r = Record(Store(folder))
        r.add(dict(path='a.jpg', seed=0, warnings='x'))
        assert r.flush()
        for o in Path(folder).rglob('*.parquet'): yield o.read_bytes()

# How it is changed, beyond bytes

def changed_json(o, rng):
    "One thing inside JSON put in place of another"
    if isinstance(o, (dict, list)) and o and rng.random()<0.8:
        o = o.copy()
        k = rng.choice([*o] if isinstance(o, dict) else range(len(o)))
        if rng.random()<0.1: o.pop(k)
        else: o[k] = changed_json(o[k], rng)
        return o
    others = (None, True, 0, -1, 1.5, 1e308, 10**30, '', 'x', 'http://a', [], {}, [o], [[], {}, o],
              {'id': o}, {'@id': 1}, {'none': [o]}, [None], 'é\ud800', float('nan'), [o]*30)
    return rng.choice(others)

def deep(o, rng):
    "The same, or that thing far inside"
    text = json.dumps(o)
    if rng.random()>0.02: return text.encode()
    n = rng.choice((50, 2000, 100000))
    return ('['*n+text+']'*n).encode()

def of_json(data, rng): return deep(changed_json(json.loads(data), rng), rng)

def of_lines(data, rng):
    lines = data.splitlines()
    i = rng.randrange(len(lines))
    lines[i] = of_json(lines[i], rng)
    return b'\n'.join(lines)+b'\n'*rng.randrange(2)

def of_checkpoint(data, rng):
    n, = struct.unpack('<Q', data[:8])
    head = json.loads(data[8:8+n])
    inner = head.get('__metadata__', {})
    if rng.random()<0.8: inner['colorized'] = of_json(inner['colorized'], rng).decode('latin-1')
    else: head = changed_json(head, rng)
    text = json.dumps(head).encode()
    return struct.pack('<Q', len(text))+text+data[8+n:]

def of_png(data, rng):
    "Right the checksums of what bytes have become"
    out,i = [data[:8]],8
    while i+12<=len(data):
        n = min(struct.unpack('>I', data[i:i+4])[0], len(data)-i-12)
        body = data[i+4:i+8+n]
        out.append(struct.pack('>I', n)+body+struct.pack('>I', zlib.crc32(body)))
        i += 12+n
    return b''.join(out)

READERS = dict( # Name -> what reads, suffixes of its files, what to start from, how to change it
    tiff=(photograph, '.tif .tiff', tiffs, None),
    jpeg=(photograph, '.jpg .jpeg .mpo', lambda: written('JPEG', comment='x'), None),
    png=(photograph, '.png', lambda: written('PNG', modes=('1', 'L', 'P', 'RGBA')), of_png),
    webp=(photograph, '.webp', lambda: written('WEBP'), None),
    jpeg2000=(photograph, '.jp2 .j2k', lambda: written('JPEG2000'), None),
    heif=(photograph, '.heic .heif .avif', heifs, None),
    bmp=(photograph, '.bmp', lambda: written('BMP', modes=('1', 'L', 'RGB')), None),
    gif=(photograph, '.gif', lambda: written('GIF', comment='x'), None),
    xmp=(xmp, '.xmp', packets, None),
    exif=(exif, '', blocks, None),
    icc=(icc, '.icc .icm', profiles, None),
    info=(info, '', infos, of_json),
    manifest=(manifest, '.json', manifests, of_json),
    checkpoint=(checkpoint, '.safetensors', checkpoints, of_checkpoint),
    report=(report, '.jsonl', reports, of_lines),
    record=(record, '.parquet', records, None))

def blind(data, rng):
    "Bytes changed, cut, doubled"
    data = bytearray(data or b'\0')
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        i,n = rng.randrange(len(data)),rng.choice((1, 1, 2, 4, 32))
        values = bytes(rng.choice((0, 255, 127, 128, rng.randrange(256))) for _ in range(n))
        match rng.randrange(6):
            case 0: del data[i:i+n]
            case 1: data[i:i] = data[i:i+n]
            case 2: data = data[:max(1, i)]
            case _: data[i:i+n] = values
        if not data: data = bytearray(b'\0')
    return bytes(data[:LONGEST])

def changed(data, rng, how, bytewise):
    "As the format would have it, byte by byte, or both"
    if how is None or how is not of_png and rng.random()<0.3: return bytewise(data)
    if how is of_png: data = bytewise(data)
    try: return how(data, rng)[:4*LONGEST]
    except (ValueError, KeyError, TypeError, IndexError, struct.error, AttributeError,
            RecursionError): return bytewise(data)

# Running

class Late(BaseException):
    "The time is over"

def peak(reset=False):
    "Most memory that this process had since the last reset, and what it has, in bytes"
    if reset: Path('/proc/self/clear_refs').write_text('5')
    said = Path('/proc/self/status').read_text()
    return [int(said.split(k)[1].split()[0])*1024 for k in ('VmHWM:', 'VmRSS:')]

class Trial:
    "One reader, tried with input after input"
    def __init__(self, name, folder):
        self.read,self.folder,self.n,self.seen = READERS[name][0],folder,0,set()
        signal.signal(signal.SIGPROF, self.late)
    def late(self, *_): raise Late()
    def found(self, data, what, text):
        key = hashlib.sha256(what.encode()).hexdigest()[:10]
        if key in self.seen or (self.folder/f'found-{key}').exists(): return
        self.seen.add(key)
        (self.folder/f'found-{key}').write_bytes(data)
        (self.folder/f'found-{key}.txt').write_text(f'{what}\n\n{text}')
        print(f'found-{key}: {what}', flush=True)
    def __call__(self, data):
        self.n += 1
        if self.n%20==0: (self.folder/f'count-{os.getpid()}').write_text(str(self.n))
        _,before = peak(reset=True)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        try: self.read(data)
        except Late: self.found(data, f'takes over {SECONDS} s', traceback.format_exc())
        except Exception as e:
            frames = traceback.extract_tb(e.__traceback__)
            ours = [f for f in frames if '/colorized/' in f.filename] or frames
            where = f'{Path(ours[-1].filename).name}:{ours[-1].lineno}'
            self.found(data, f'{type(e).__name__} at {where}: {str(e)[:80] if not ours else ""}',
                       traceback.format_exc()[-4000:])
        finally: signal.setitimer(signal.ITIMER_PROF, 0)
        most,_ = peak()
        if most-before>MOST_BYTES:
            self.found(data, f'takes {(most-before)>>23<<3} MB of memory', '')

def child(name, folder, seconds):
    "In a process of its own: what kills it is seen from outside"
    import torch
    torch.set_num_threads(1)
    how,start = READERS[name][3],time.time()
    try: import atheris
    except ImportError: atheris = None
    warm = lambda trial: [trial(o.read_bytes()) for o in sorted((folder/'corpus').iterdir())[:40]]
    if atheris is None:
        trial,rng = Trial(name, folder),random.Random(os.getpid())
        seeds = [o.read_bytes() for o in (folder/'corpus').iterdir()]
        warm(trial)
        while time.time()-start<seconds:
            data = changed(rng.choice(seeds), rng, how, lambda o: blind(o, rng))
            (folder/'current').write_bytes(data)
            trial(data)
        return
    with atheris.instrument_imports(include=['colorized', 'tifffile', 'PIL']):
        trial = Trial(name, folder)
        warm(trial)
    def mutate(data, most, seed):
        new = changed(data, random.Random(seed), how, lambda o: atheris.Mutate(o, len(o)+64))
        return new[:most]
    options = [f'-max_total_time={seconds}', '-timeout=600', '-report_slow_units=600',
               '-rss_limit_mb=8000', '-verbosity=0', f'-max_len={4*LONGEST}',
               f'-artifact_prefix={folder}/killed-', '-len_control=0']
    more = dict(custom_mutator=mutate) if how else {}
    atheris.Setup([sys.argv[0], str(folder/'corpus'), *options], trial, **more)
    atheris.Fuzz()

def prepare(name, folder, seeds):
    "The corpus to start from"
    (folder/'corpus').mkdir(parents=True, exist_ok=True)
    _,suffixes,start,_ = READERS[name]
    more = [o.read_bytes() for o in sorted(seeds.rglob('*') if seeds else ())
            if o.suffix.lower() in suffixes.split() and 0<o.stat().st_size<LONGEST//2]
    for data in [*start(), *more]:
        (folder/'corpus'/hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

def fuzz(name, args):
    folder = args.out/name
    prepare(name, folder, args.seeds)
    end,start = time.time()+args.minutes*60,resource.getrusage(resource.RUSAGE_CHILDREN)
    env = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS='1', PYTHONWARNINGS='ignore')
    while (left := int(end-time.time()))>5:
        command = [sys.executable, __file__, name, '--child', str(left), '--out', str(args.out)]
        with open(folder/'log', 'a') as log:
            code = subprocess.run(command, env=env, stdout=log, stderr=log, cwd=folder).returncode
        if code: print(f'{name}: the process ended with {code}, see {folder}/log', flush=True)
        if code and (folder/'current').exists():
            shutil.move(folder/'current', folder/f'killed-{time.time_ns()}')
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = now.ru_utime+now.ru_stime-start.ru_utime-start.ru_stime
    counts = [*folder.glob('count-*')]
    n = sum(int(o.read_text() or 0) for o in counts)
    for o in counts: o.unlink()
    with open(args.out/'runs.jsonl', 'a') as f:
        f.write(json.dumps(dict(reader=name, seconds=round(spent), inputs=n))+'\n')

def summary(out):
    kept = out/'runs.jsonl'
    if not kept.exists(): return print(f"{kept}: nothing was tried yet")
    runs = [json.loads(o) for o in kept.read_text().splitlines()]
    print('| reader | core minutes | inputs | found |\n|---|---:|---:|---:|')
    for name in READERS:
        own = [o for o in runs if o['reader']==name]
        found = len([*(out/name).glob('found-*.txt')])+len([*(out/name).glob('killed-*')])
        minutes,n = sum(o['seconds'] for o in own)/60,sum(o['inputs'] for o in own)
        print(f'| {name} | {minutes:.0f} | {n} | {found} |')
    minutes,n = sum(o['seconds'] for o in runs)/60,sum(o['inputs'] for o in runs)
    print(f'| all | {minutes:.0f} | {n} | |')

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('readers', nargs='*', metavar='READER',
                        help=f"{', '.join(READERS)}; all of them where none is named")
    parser.add_argument('--minutes', type=float, default=10, help='for each reader')
    parser.add_argument('--seeds', type=Path, help='folder of files to start from as well')
    parser.add_argument('--out', type=Path, default=ROOT/'build/fuzz')
    parser.add_argument('--again', type=Path, nargs='+', help='only try these files')
    parser.add_argument('--summary', action='store_true')
    parser.add_argument('--child', type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.out = args.out.resolve()
    unknown = [o for o in args.readers if o not in READERS]
    if unknown: parser.error(f"no such reader: {', '.join(unknown)}")
    if args.child: return child(args.readers[0], args.out/args.readers[0], args.child)
    if args.summary: return summary(args.out)
    for name in args.readers or READERS:
        if not args.again: fuzz(name, args)
        for o in args.again or (): READERS[name][0](o.read_bytes())

if __name__=='__main__': main()
