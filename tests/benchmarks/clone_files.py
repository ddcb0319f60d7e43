"Repositories with pictures, as the benchmarks read them"
import subprocess
import numpy as np
from PIL import Image

def colors(seed, size=(160,120)):
    "Something that passes for a photograph"
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6,8,3), dtype=np.uint8))
    soft = np.asarray(small.resize(size, Image.BICUBIC)).astype(int)
    return Image.fromarray((soft + rng.integers(-9, 10, soft.shape)).clip(0, 255).astype(np.uint8))

def clone(folder, name, pictures):
    "A repository with some pictures, where a folder of clones has it"
    at = folder/name.replace('/', '+')
    at.mkdir(parents=True)
    who = ['-c', 'user.name=a', '-c', 'user.email=a@b', '-c', 'core.hooksPath=/dev/null']
    git = lambda *args: subprocess.run(['git', '-C', at, *who, *args], check=True,
                                       capture_output=True, text=True).stdout
    git('init', '-q')
    for path,im in pictures.items():
        (at/path).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(im, bytes): (at/path).write_bytes(im)
        else: im.save(at/path)
    git('add', '-A')
    git('commit', '-qm', 'pictures')
    return git('rev-parse', 'HEAD').strip()
