"""The page that colors in the visitor's own tab: `try.html` and all it needs, from `tools/docs.py`.

The model comes from `colorized.export`, ONNX Runtime from its npm package, the rest from `site/`.
Without npm the page is left out."""
import fcntl, gzip, hashlib, json, shutil, subprocess, sys, tarfile, tempfile
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root))
CACHE = root/'build/try' # What is made once: the exported model, the packages' files

# npm package -> version, SHA-256 of its archive, and the files that are taken
PACKAGES = {
    'onnxruntime-web': (
        '1.24.3', 'd521349a11a1f6012ce6b21fcdafce310b3111bbb7552a1d1f7dcb2714b76d78',
        dict(ort=('dist/ort.wasm.min.mjs', 'dist/ort-wasm-simd-threaded.mjs',
                  'dist/ort-wasm-simd-threaded.wasm')))}

def _once(key, make):
    "The folder `key` of the cache; `make(folder)` fills it, for one process, whole or not at all"
    folder = CACHE/key
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE/'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=CACHE) as new:
                make(Path(new)/'new')
                (Path(new)/'new').rename(folder)
    return folder

def exported_model():
    "The packaged model as `colorized export` writes it"
    import torch
    code = sorted((root/'colorized/export').glob('*.py'))
    code += [root/f'colorized/{o}' for o in (
        '__init__.py', 'inference/colorizer.py', 'model/checkpoint.py', 'model/encoder.py',
        'model/layers.py', 'model/unet.py', 'photo/provenance.py', 'photo/scan.py', 'photo/xmp.py',
        'theory/schedule.py', 'weights/default.sha256')]
    h = hashlib.sha256(torch.__version__.encode())
    for o in code:
        h.update(o.read_bytes())
    def make(folder):
        from colorized import Colorizer
        from colorized.export.folder import export_model
        export_model(Colorizer.from_pretrained(device='cpu'), folder)
    return _once(f'model-{h.hexdigest()[:12]}', make)

def _unpack(package, folder):
    "The files of an npm package that are taken. Raises `ValueError` for another archive"
    version,sha,files = PACKAGES[package]
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run(['npm', 'pack', '--silent', f'{package}@{version}'], cwd=tmp, check=True,
                       capture_output=True, timeout=600)
        archive, = Path(tmp).glob('*.tgz')
        if hashlib.sha256(archive.read_bytes()).hexdigest()!=sha:
            raise ValueError(f"the archive of {package} {version} is not the one that is known")
        with tarfile.open(archive) as tar:
            for place,names in files.items():
                (folder/place).mkdir(parents=True)
                for name in names:
                    data = tar.extractfile(f'package/{name}').read()
                    (folder/place/Path(name).name).write_bytes(data)

def packages():
    "The files of the npm packages, from the cache if they were fetched before"
    versions = json.dumps(PACKAGES)
    def make(folder):
        folder.mkdir()
        for package in PACKAGES:
            _unpack(package, folder)
    return _once(f'npm-{hashlib.sha256(versions.encode()).hexdigest()[:12]}', make)

KEPT = ('riverfront-1931', 'buffalo-1908', 'campus-1910') # Photographs of ours to color offline
COMPRESSED = ('.onnx', '.wasm') # A static server compresses neither for sure

def _compress(folder):
    "Replace large binaries by `….gz`, the same bytes whenever it is done"
    for o in [o for o in sorted(folder.rglob('*')) if o.suffix in COMPRESSED]:
        (o.parent/f'{o.name}.gz').write_bytes(gzip.compress(o.read_bytes(), 9, mtime=0))
        o.unlink()

def binaries():
    "Model and runtime as the page fetches them"
    model,npm = exported_model(),packages()
    def make(folder):
        shutil.copytree(npm, folder)
        shutil.copytree(model, folder/'model')
        manifest = json.loads((folder/'model/manifest.json').read_text('utf-8'))
        manifest['runtime'] = f"onnxruntime-web {PACKAGES['onnxruntime-web'][0]}"
        (folder/'model/manifest.json').write_text(json.dumps(manifest, indent=1), 'utf-8')
        _compress(folder)
    return _once(f'binaries-{model.name}-{npm.name}', make)

def _photographs(out):
    "Ours, whole and as buttons; their names and titles"
    from PIL import Image
    (out/'photographs').mkdir()
    for o in sorted((root/'nbs/images').glob('*.jpg')):
        shutil.copy(o, out/'photographs')
    names = [o.stem for o in sorted((root/'nbs/images').glob('*.jpg'))]
    for name in names:
        small = Image.open(out/f'photographs/{name}.jpg').convert('L')
        small.thumbnail((300, 100))
        small.save(out/f'photographs/{name}.small.jpg', quality=80)
    return [dict(name=o, title=o.replace('-', ' ').capitalize()) for o in names]

def _keep(out, files):
    "The service worker, told what there is"
    hashes = {o: hashlib.sha256((out/o).read_bytes()).hexdigest() for o in files}
    text = (root/'site/try-offline.js').read_text('utf-8')
    version = hashlib.sha256(json.dumps([hashes, text]).encode()).hexdigest()[:12]
    for empty,full in {"FILES = {}": f'FILES = {json.dumps(hashes, indent=1)}',
                       "VERSION = ''": f"VERSION = '{version}'"}.items():
        text = text.replace(empty, full)
    (out/'try-offline.js').write_text(text, 'utf-8')

WITHOUT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Color a photograph in this tab</title>
<link rel="icon" href="favicon.svg">
<body data-ready="yes" data-left-out="yes">
<main>
<h1>Color a photograph in this tab</h1>
<p>This copy of the site was built without the page that colors in the browser.
<a href="index.html">The command and the program's own page</a> color, too.</p>
</main>
"""

def build(
    out, # The finished site
):
    "Add the page to the site, or a page that says that it was left out, and a line that says why"
    try:
        made = binaries()
    except (OSError, subprocess.SubprocessError, ValueError, ImportError) as e:
        print(f'try.html was left out: {type(e).__name__}: {e}')
        return (out/'try.html').write_text(WITHOUT, 'utf-8')
    shutil.copytree(root/'site', out, dirs_exist_ok=True)
    shutil.copytree(made, out/'try', dirs_exist_ok=True)
    photographs = _photographs(out/'try')
    large = [o for o in sorted((out/'try').rglob('*.gz'))]
    names = [o.relative_to(out).as_posix() for o in sorted((out/'try').rglob('*')) if o.is_file()]
    is_ours = lambda o: 'photographs/' in o and not o.endswith('.small.jpg')
    kept = [o for o in names if not is_ours(o) or Path(o).stem in KEPT]
    total = sum(o.stat().st_size for o in large)
    about = dict(total=total, photographs=photographs)
    (out/'try/files.json').write_text(json.dumps(about), 'utf-8')
    kept = ['try.html', 'try/files.json', *kept]
    _keep(out, sorted(kept, key=lambda o: (out/o).stat().st_size))
