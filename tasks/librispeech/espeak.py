"""Speak with espeak-ng through its C interface: a program of its own, that needs the standard library only.

The library keeps state between utterances that nothing resets, is not safe to call from two threads, and would leave a
callback of ours in the process. So synthetic.py runs this file as a child process: what a process says depends on
its own input alone.

Standard input: JSON, {"library": path, "data": path, "utterances": [{"voice", "rate", "pitch", "text"}, ...]}.
Standard output: for each utterance the number of its samples, as 4 bytes, and the samples, 16 bits each, at RATE Hz; all
in the machine's byte order. A failure is one line on standard error and exit status 1.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

RATE = 22_050
"""Samples a second, for all voices but MBROLA's, which are not used."""

# From espeak-ng's speak_lib.h. SYNCHRONOUS: espeak_Synth returns when all is spoken, and plays nothing.
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000  # say that the data cannot be read, do not end the process
_POSITION_CHARACTER = 1
_UTF8 = 1
_SEED = 1  # of breath and of other noise in a voice; espeak-ng itself takes the time of day
_PARAMETERS = {"rate": 1, "pitch": 3}
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def main() -> None:
    """Speak what standard input asks for."""
    order: dict[str, Any] = json.load(sys.stdin)
    try:
        library = ctypes.CDLL(order["library"])
    except OSError as error:
        sys.exit(f"the library cannot be loaded ({error})")
    pieces: list[bytes] = []

    def keep(samples: Any, number: int, events: Any) -> int:
        if samples and number > 0:
            pieces.append(ctypes.string_at(samples, 2 * number))
        return 0  # go on

    callback = _CALLBACK(keep)  # named, so that it lives as long as the library may call it
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, order["data"].encode(), _DONT_EXIT)
    if rate != RATE:
        sys.exit(f"espeak-ng cannot use its data at {order['data']} (espeak_Initialize returned {rate}, not {RATE})")
    library.espeak_SetSynthCallback(callback)
    for utterance in order["utterances"]:
        if status := library.espeak_SetVoiceByName(utterance["voice"].encode()):
            sys.exit(f"espeak-ng has no voice {utterance['voice']!r} (status {status})")
        for name, number in _PARAMETERS.items():
            if status := library.espeak_SetParameter(number, utterance[name], 0):
                sys.exit(f"espeak-ng refuses {name}={utterance[name]} (status {status})")
        text = utterance["text"].encode() + b"\0"
        pieces.clear()
        library.espeak_ng_SetRandSeed(ctypes.c_long(_SEED))
        if status := library.espeak_Synth(text, len(text), 0, _POSITION_CHARACTER, 0, _UTF8, None, None):
            sys.exit(f"espeak-ng cannot say {utterance['text']!r} (status {status})")
        spoken = b"".join(pieces)
        sys.stdout.buffer.write((len(spoken) // 2).to_bytes(4, sys.byteorder) + spoken)


if __name__ == "__main__":
    main()
