"""Who publishes this, and where: `python tools/identity.py` after a change of settings.ini.

`author`, `license`, `git_url` and `doc_url` in settings.ini are the one place for them. Other files
repeat them, since GitHub, Colab, nbdev, Quarto or a reader without the site need them there. This
writes the present values into all of those, in place of the former ones, which it finds in
CITATION.cff. Then `nbdev-export` and `python tools/docs.py` make the rest anew."""
import re, subprocess
from configparser import ConfigParser
from pathlib import Path
import yaml

root = Path(__file__).resolve().parent.parent

def text_of(file):
    "What stands in a file; nothing if it is no text"
    try: return file.read_text('utf-8')
    except UnicodeDecodeError: return ''

def settings(folder):
    "What settings.ini says"
    ini = ConfigParser(delimiters=['='], interpolation=None)
    ini.read(folder/'settings.ini', encoding='utf-8')
    return ini['DEFAULT']

def slug(url):
    "`owner/name` of a repository on GitHub"
    return re.sub(r'^https://github\.com/', '', url)

def replacements(folder):
    "Former texts and present ones, by CITATION.cff and settings.ini"
    was = yaml.safe_load((folder/'CITATION.cff').read_text('utf-8'))
    now = settings(folder)
    author = was['authors'][0]['name']
    hosts = ['github.com/', 'raw.githubusercontent.com/', 'colab.research.google.com/github/']
    former,present = slug(was['repository-code']),slug(now['git_url'])
    pairs = [(f'{host}{former}', f'{host}{present}') for host in hosts]
    pairs += [(was['url'], now['doc_url']), (f'name: {author}', f"name: {now['author']}"),
              (f"license: {was['license']}", f"license: {now['license']}")]
    return [(a, b) for a,b in pairs if a!=b]

def tracked(folder):
    "The files that git knows or would know"
    command = ['git', '-C', folder, 'ls-files', '-coz', '--exclude-standard']
    said = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    return [folder/o for o in said.split('\0') if o]

def apply(folder, files):
    "Write the present values into `files`; the names of those that changed"
    pairs = replacements(folder)
    changed = []
    for f in sorted(files, key=lambda o: o.name=='CITATION.cff'): # last: it knows the former ones
        if f.is_symlink() or not f.is_file() or f.name=='settings.ini': continue
        text = old = text_of(f)
        for a,b in pairs: text = text.replace(a, b)
        if text!=old:
            f.write_text(text, 'utf-8')
            changed.append(f.relative_to(folder).as_posix())
    return changed

if __name__=='__main__':
    done = apply(root, tracked(root))
    print('\n'.join(done) or 'Everything agrees with settings.ini')
    if done: print('Now run: nbdev-export && python tools/docs.py')
