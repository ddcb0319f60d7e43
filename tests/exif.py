"ExifTool, kept running for all tests of a process: starting Perl takes longer than its answers"
import functools, json, shutil
from exiftool import ExifTool
from PIL import Image, PngImagePlugin

@functools.cache
def _running(task):
    "One process to read and one to write: who has written regions reads their tags by other names"
    assert shutil.which('exiftool'), "exiftool is needed: apt-get install libimage-exiftool-perl"
    tool = ExifTool(common_args=[], encoding='utf-8')
    tool.run()
    return tool

def _ask(task, *args):
    tool = _running(task)
    said = tool.execute(*map(str, args))
    assert tool.last_status==0, tool.last_stderr
    return said

def exiftool(*args):
    "What it says of a file; a refusal fails the test"
    return _ask('read', *args)

def change(path, *args):
    "Set tags of a file, as `-IFD0:Make=Linhof`"
    _ask('write', '-q', '-m', '-overwrite_original', *args, path)

def tags(path):
    "All tags of a file by group and name"
    return json.loads(exiftool('-j', '-G1', '-a', path))[0]

def png_of_imagemagick(jpeg, png):
    "A JPEG as ImageMagick converts it: Photoshop's resources in hexadecimal digits"
    data = jpeg.read_bytes()
    at = data.index(b'Photoshop 3.0\0')
    block = data[at+14:at-2+int.from_bytes(data[at-2:at], 'big')]
    texts = PngImagePlugin.PngInfo()
    texts.add_text('Raw profile type 8bim', f'\n8bim\n{len(block):8}\n{block.hex()}\n')
    Image.open(jpeg).save(png, pnginfo=texts)
