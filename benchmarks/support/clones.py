"Files of public repositories, read out of git clones at the commits that the scripts name."
import re
import subprocess
from pathlib import Path

PICTURE = r'\.(?:jpe?g|png|webp|JPE?G)$'

def _git_dir(clone):
    "The git directory of a clone, bare or not, or None"
    for o in (clone, clone/'repo', clone/'repo/.git', clone/'.git'):
        if (o/'HEAD').is_file(): return o
    return None

def located(clone):
    "The git directory of a clone, bare or not"
    if (where := _git_dir(Path(clone))) is None: raise SystemExit(f'{clone} is no clone of git')
    return where

def git_dir(clones, repository):
    "That of owner/name in a folder of clones named owner+name, or None"
    return _git_dir(Path(clones)/repository.replace('/', '+'))

def git(where, *args):
    "What a command of git says, bytes"
    command = ['git', f'--git-dir={where}', *args]
    return subprocess.run(command, check=True, capture_output=True).stdout

def holds(where, commit):
    "Does a clone have the commit?"
    return not subprocess.run(['git', f'--git-dir={where}', 'cat-file', '-e', f'{commit}^{{tree}}'],
                              stderr=subprocess.DEVNULL).returncode

def listed(where, commit, paths, ending=''):
    "(blob, path) of the files of a commit that match both, each blob once, in the order of git"
    found = {}
    for line in git(where, 'ls-tree', '-rz', commit).decode(errors='replace').split('\0')[:-1]:
        meta,path = line.split('\t', 1)
        mode,kind,sha = meta.split()[:3]
        if kind!='blob' or mode=='120000': continue # of a submodule, a link
        if re.search(paths, path) and re.search(ending, path): found.setdefault(sha, path)
    return list(found.items())

def blobs(where, entries):
    "(path, content) of the entries; those that the clone lacks are passed over"
    proc = subprocess.Popen(['git', f'--git-dir={where}', 'cat-file', '--batch'],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        for sha,path in entries:
            proc.stdin.write(f'{sha}\n'.encode())
            proc.stdin.flush()
            if b'missing' in (head := proc.stdout.readline()): continue
            data = proc.stdout.read(int(head.split()[2])+1)[:-1]
            yield path,data
    finally:
        proc.stdin.close()
        proc.terminate()
        proc.wait()

def versions(where, folder):
    "Path -> blobs of all versions of the pictures of a folder, in the order of the paths"
    said = git(where, 'log', '--all', '--raw', '--no-abbrev', '--format=', '--diff-filter=AM', '--',
               folder)
    out = {}
    for line in said.decode().splitlines():
        meta,path = line.split('\t', 1)
        if path.lower().endswith(('jpg', 'jpeg', 'png')):
            out.setdefault(path, []).extend(meta.split()[2:4])
    return dict(sorted(out.items()))

def largest(where, versions):
    "Content of the largest of these blobs; the others are links to a store of large files"
    found = dict(blobs(where, [(o, o) for o in dict.fromkeys(versions)]))
    return max(found.values(), key=len, default=b'')
