"""Stands for an agent that exists already and knows nothing of this service."""

import re


def run_agent(instruction, max_steps, on_step):
    """Adds up the numbers in the instruction, two at a step, and answers the sum."""
    numbers = [int(number) for number in re.findall(r"\d+", instruction)]
    if not numbers:
        raise ValueError("There is no number in the instruction.")
    if len(numbers) - 1 > max_steps:
        raise ValueError(f"{len(numbers)} numbers need more than {max_steps} steps.")
    total = numbers[0]
    for number in numbers[1:]:
        on_step(f"{total} + {number} = {total + number}")
        total += number
    return str(total)
