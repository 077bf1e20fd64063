"""Speech recognition on LibriSpeech: DeepSpeech and DeepSpeech 2, trained with CTC."""
