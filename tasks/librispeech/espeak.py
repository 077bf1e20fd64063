"""Synthesise speech with espeak-ng through its C interface, as a program that needs only the standard library.

The library keeps state between utterances, is not thread-safe, and would keep our callback. So synthetic.py runs this file as a
child process, whose output depends only on its input.

Standard input: JSON, {"library": path, "data": path, "utterances": [{"voice", "rate", "pitch", "text"}, ...]}.
Standard output: for each utterance the number of samples (4 bytes) and the samples (16 bits each, at RATE Hz), in the machine's
byte order. A failure prints a line to standard error and ends with status 1.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

RATE = 22_050
"""Samples per second of all voices except MBROLA's, which are not used."""

# From espeak-ng's speak_lib.h. SYNCHRONOUS: espeak_Synth returns at the end of speech and plays nothing.
_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000  # return an error if the data cannot be read, instead of ending the process
_POSITION_CHARACTER = 1
_UTF8 = 1
_SEED = 1  # of noise in a voice; espeak-ng's default is the time of day
_PARAMETERS = {"rate": 1, "pitch": 3}
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def main() -> None:
    """Speak the utterances on standard input."""
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

    callback = _CALLBACK(keep)  # a variable keeps it alive while the library may call it
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
