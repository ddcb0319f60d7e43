"""Odd and hostile files of public repositories, through reading, coloring and writing

    python benchmarks/run.py corpora CLONES OUT --csv FILE      # an hour of a core
    python benchmarks/run.py corpora CLONES OUT --only color --corpus libpng

CLONES is a folder of git clones, bare or not, named owner+name; `SOURCES` says which, and at which
commit. Their files are taken out of git to OUT/originals, and never become part of this repository.

color      Is each file colored, refused in one line, or does it crash? In one step, in a process of
           its own with 60 s of a core and 4 GiB; written to OUT/colored as by `colorized FOLDER`.
compare    Which of the tags that ExifTool lists are lost or changed, beyond those that a color
           version must change (`support/tag_changes.py`)?
read       What do ExifTool, libvips, ImageMagick and libtiff warn of in an output, and not in its
           original?
manifests  Are IIIF's manifests and info.json read or refused? No network.

Each leaves its answers, file by file, in OUT/PART.json. Parts that are done are not done again,
unless corpora are named: then those are colored anew and the rows of the others stay. Needs
exiftool, ImageMagick and libtiff-tools. A crash ends it with status 1."""
import importlib, json, shutil, sys
from dataclasses import asdict, dataclass
from pathlib import Path
from benchmarks.support import other_programs, tag_changes
from benchmarks.support.clones import blobs, git_dir, holds, listed
from benchmarks.support.limits import limited
from benchmarks.support.results import Figure, Missing
from benchmarks.support.samples import CARD

@dataclass(frozen=True)
class Source:
    "Files of a repository"
    name:str         # In the tables
    repository:str   # owner/name
    commit:str       # As many digits as tell it from others
    paths:str        # Regular expression that the path of a file matches

SOURCES = (
    Source('Pillow', 'python-pillow/Pillow', '4e5f09f533db', r'^Tests/images/'),
    Source('Pillow, more', 'python-pillow/test-images', '7077675d2cda', r'.'),
    Source('libtiff', 'vadz/libtiff', 'cda4b0691404', r'^test/images/'),
    Source('libtiff, torn', 'esy-packages/esy-libtiff', '83b1f5c8f76a', r'^test/images/'),
    Source('libtiff pictures', 'BitMiracle/libtiff.net', '5ad1a8053bec',
           r'^TestCase/[^/]*\.tiff?$'),
    Source('libpng', 'pnggroup/libpng', 'd1d0abeffede', r'\.png$'),
    Source('PngSuite', 'lunapaint/pngsuite', '8cd768dd0d00', r'\.(?:png|bmp)$'),
    Source('ExifTool', 'exiftool/exiftool', '38bdbace3037', r'^t/images/'),
    Source('Photoshop', 'psd-tools/psd-tools', '31d5b6b9eda3', r'\.(?:psd|psb)$'))
MADE = 'made here' # of --quick
MANIFESTS = (
    Source('IIIF cookbook', 'IIIF/cookbook-recipes', '31efecaa3255', r'^recipe/.*\.json$'),
    Source('IIIF fixtures', 'IIIF/api', '28a88829699e', r'(?<!context)\.json$'))

@dataclass
class Row:
    "What became of a file"
    corpus:str
    path:str           # Relative to OUT/originals
    ended:str          # 'colored', 'refused' or 'crashed'
    said:str=''        # Why it was refused, or how it crashed; remarks of one that was colored
    seconds:float=0.
    megabytes:float=0. # Of memory, beyond what the process began with
    output:str=''      # Relative to OUT/colored

def take_out(source, clones, folder):
    "The files of a source, out of git; those that are there already are left as they are"
    git = git_dir(clones, source.repository)
    if git is None or not holds(git, source.commit):
        raise Missing(f'needs a clone of {source.repository} with commit {source.commit}, at '
                      f"{clones}/{source.repository.replace('/', '+')}")
    base = folder/source.name
    missing = [(sha, o) for sha,o in listed(git, source.commit, source.paths)
               if not (base/o).is_file()]
    for path,data in blobs(git, missing):
        (base/path).parent.mkdir(parents=True, exist_ok=True)
        (base/path).write_bytes(data)
    return sorted(o for o in base.rglob('*') if o.is_file())

def colored(colorizer, src, dst):
    "Color a file -> [how it ended, what was said]"
    from colorized.photo.scan import ScanError
    try:
        result = colorizer.colorize(src, steps=1)
        return ['colored', '; '.join([*result.scan.remarks, *result.save(dst, overwrite=True)])]
    except ScanError as e:
        return ['refused', str(e)]
    except Exception as e:
        return ['crashed', f'{type(e).__name__}: {e}']

def color(source, files, out, colorizer):
    "A row for each file"
    from colorized.batch.names import assign_outputs
    originals,target = out/'originals',out/'colored'
    names = assign_outputs({o: str(o.relative_to(originals)) for o in files})
    for src,name in names.items():
        (target/name).parent.mkdir(parents=True, exist_ok=True)
        said,died,seconds,grown = limited(lambda: colored(colorizer, src, target/name))
        ended,why = said or ['crashed', died]
        why = why.replace(str(src), src.name)
        path = str(src.relative_to(originals))
        yield Row(source.name, path, ended, why, round(seconds, 2), round(grown), name)

def color_all(args, out):
    import torch
    torch.set_num_threads(1)
    from colorized.inference.colorizer import Colorizer
    from PIL import Image
    for o in 'imagecodecs','pi_heif','tifffile': importlib.import_module(o) # once, for all children
    Image.init()
    small = dict(working_size=64, min_size=64)
    colorizer = Colorizer.from_pretrained(device='cpu', settings=small)
    colorizer.colorize(torch.zeros(64, 64, dtype=torch.uint8).numpy(), steps=1)
    kept = json.loads((out/'color.json').read_text()) if (out/'color.json').exists() else []
    rows = [Row(**o) for o in kept if o['corpus'] not in (args.corpus or ())]
    for source in [Source(MADE, '', '', '')] if args.quick else chosen(SOURCES, args):
        files = (sorted((out/'originals'/MADE).iterdir()) if args.quick
                 else take_out(source, args.clones, out/'originals'))
        for row in color(source, files, out, colorizer):
            rows.append(row)
            if row.ended=='crashed': print(f'{row.path}: {row.said}', file=sys.stderr, flush=True)
    return [asdict(o) for o in rows]

# Manifests

def parsed(path):
    "Read a manifest or an info.json -> [how it ended, what was said]"
    from colorized.iiif.fetch import IIIFError
    from colorized.iiif.manifest import find_pictures, read_manifest
    from colorized.iiif.service import parse_info
    try:
        if path.name=='info.json':
            return ['colored', str(parse_info(json.loads(path.read_text()), 'info.json'))]
        pictures,others = find_pictures(read_manifest(path, None, lambda kind: f'urn:{kind}'))
        return ['colored', f'{len(pictures)} pictures, {len(others)} other things']
    except (IIIFError, json.JSONDecodeError) as e:
        return ['refused', str(e)]
    except Exception as e:
        return ['crashed', f'{type(e).__name__}: {e}']

def manifests(args, out):
    for o in 'manifest','service': importlib.import_module(f'colorized.iiif.{o}')
    rows = []
    for source in chosen(MANIFESTS, args):
        for src in take_out(source, args.clones, out/'originals'):
            said,died,seconds,grown = limited(lambda: parsed(src))
            ended,why = said or ['crashed', died]
            if ended=='crashed': print(f'{src}: {why}', file=sys.stderr, flush=True)
            rows.append(Row(source.name, str(src.relative_to(out/'originals')), ended, why,
                            round(seconds, 2), round(grown)))
    return [asdict(o) for o in rows]

# Figures

def done(out):
    "Rows of the files that were colored"
    return [o for o in json.loads((out/'color.json').read_text()) if o['ended']=='colored']

PARTS = dict(color=color_all, compare=lambda args, out: tag_changes.compare(done(out), out),
             read=lambda args, out: other_programs.read(done(out), out), manifests=manifests)

PROGRAMS = dict(compare=['exiftool'], read=['exiftool', 'identify', 'tiffinfo'])

def of_rows(part, rows):
    "How they ended, corpus by corpus"
    for name in dict.fromkeys(o['corpus'] for o in rows):
        some = [o for o in rows if o['corpus']==name]
        row = {k: sum(o['ended']==k for o in some) for k in ('colored', 'refused', 'crashed')}
        row |= {f'most_{k}': max(o[k] for o in some) for k in ('seconds', 'megabytes')}
        for k,v in row.items(): yield Figure(f'corpora: {part}', name, len(some), k, v)

def figures(part, found):
    if part in ('color', 'manifests'): yield from of_rows(part, found)
    elif part=='compare':
        for k in 'lost','changed':
            n = sum(map(len, found[k].values()))
            yield Figure('corpora: compare', 'all', found['files'], f'tags_{k}', n)
    else:
        for program,n in found['files'].items():
            warnings = found['warnings'][program]
            new = sum(len(v) for k,v in warnings.items() if not k.startswith('('))
            yield Figure(f'corpora: read by {program}', 'all', n, 'new_warnings', new)

def chosen(sources, args): return [o for o in sources if not args.corpus or o.name in args.corpus]

def made_files(folder):
    "A few files in place of clones: the postcard in four formats, one of them torn, and a text"
    from PIL import Image
    folder.mkdir(parents=True)
    small = Image.open(CARD).convert('RGB').resize((96, 64))
    for kind in 'jpg','png','tif','webp': small.save(folder/f'card.{kind}')
    (folder/'torn.png').write_bytes((folder/'card.png').read_bytes()[:2000])
    (folder/'text.jpg').write_text('no photograph')
    return folder

def add_options(p):
    p.add_argument('clones', type=Path, nargs='?')
    p.add_argument('out', type=Path, nargs='?')
    p.add_argument('--only', nargs='+', choices=PARTS)
    p.add_argument('--corpus', nargs='+', help='names in SOURCES (default: all)')

def measure(args):
    names,crashed = args.only or list(PARTS),0
    if args.quick:
        args.clones,args.out,args.corpus = None,args.tmp,None
        made_files(args.out/'originals'/MADE)
        names = [o for o in names if o!='manifests']
    elif not args.out: raise Missing("needs a folder of clones and one for its files (or --quick)")
    lack = [o for part,programs in PROGRAMS.items() if part in names
            for o in programs if not shutil.which(o)]
    if lack:
        raise Missing(f"needs {lack[0]}: apt-get install libimage-exiftool-perl imagemagick "
                      "libtiff-tools")
    args.out.mkdir(parents=True, exist_ok=True)
    for name in names:
        file = args.out/f'{name}.json'
        if not file.exists() or args.corpus:
            file.write_text(json.dumps(PARTS[name](args, args.out), indent=1))
        found = json.loads(file.read_text())
        yield from figures(name, found)
        if name in ('color', 'manifests'): crashed += sum(o['ended']=='crashed' for o in found)
    return int(crashed>0)
