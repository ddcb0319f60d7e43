"""The command without its start: `python fork_server.py` imports it once and forks for each call

A call is a line of JSON on standard input: arguments, folder, and the files that take standard
output and standard error. The exit code comes back as a line."""
import json, os, sys
import colorized.batch.run, colorized.cli.photo, colorized.inference.colorizer # noqa: F401
from colorized.cli.main import main

def become(call):
    "This process is the command from here on"
    os.chdir(call['cwd'])
    for fd,path in enumerate((os.devnull, call['stdout'], call['stderr'])):
        os.dup2(os.open(path, os.O_RDWR|os.O_CREAT|os.O_TRUNC), fd)
    sys.argv = ['colorized', *call['args']]
    sys.exit(main())

if __name__=='__main__':
    for line in sys.stdin:
        child = os.fork()
        if not child: become(json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
