"""The page that colors in the visitor's own tab: `try.html` and all it needs, from `tools/docs.py`.

The model comes from `colorized.export`, ONNX Runtime and the JPEG encoder from their npm packages,
the rest from `site/`. Without npm the page is left out."""
import fcntl, gzip, hashlib, json, shutil, subprocess, sys, tarfile, tempfile
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root))
CACHE = root/'build/try' # What is made once: the exported model, the packages' files

# npm package -> version, SHA-256 of its archive, and the files that are taken
PACKAGES = {
    'onnxruntime-web': ('1.24.3', 'ORT_SHA',
        dict(ort=('dist/ort.wasm.min.mjs', 'dist/ort-wasm-simd-threaded.mjs',
                  'dist/ort-wasm-simd-threaded.wasm'))),
    '@jsquash/jpeg': ('1.6.0', 'JPEG_SHA',
        dict(jpeg=('codec/enc/mozjpeg_enc.js', 'codec/enc/mozjpeg_enc.wasm', 'LICENSE',
                   'codec/LICENSE.codec.md')))}

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
    code += [root/f'colorized/{o}' for o in ('model/unet.py', 'model/encoder.py', '__init__.py',
                                             'model/checkpoint.py', 'weights/default.sha256')]
    h = hashlib.sha256(torch.__version__.encode())
    for o in code:
        h.update(o.read_bytes())
    def make(folder):
        from colorized import Colorizer
        from colorized.export.folder import export_model
        export_model(Colorizer.from_pretrained(device='cpu'), folder)
    return _once(f'model-{h.hexdigest()[:12]}', make)
