import json, sys
from my_agent import run_agent  # put your own agent here

def say(type, **fields):
    print(json.dumps({"type": type, **fields}), flush=True)

task = json.load(sys.stdin)
answer = run_agent(task["instruction"], task["maxSteps"],
                   on_step=lambda text: say("stage", stage="step", message=text))
say("result", result=answer)
