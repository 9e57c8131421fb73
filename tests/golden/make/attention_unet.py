"""`n_attention_unet_running`: running statistics of the network of `d_attention_unet` after one
forward pass in train mode over its input, computed in float64.

The `w.*` of that file are the statistics before the pass; its own `after.*` are equal to them.
"""

from monai.networks.nets import AttentionUnet
from safetensors.torch import load_file

import fixture

if __name__ == "__main__":
    stored = load_file(fixture.FOLDER / "d_attention_unet.safetensors")
    network = AttentionUnet(3, 1, 3, channels=[4, 8, 16], strides=[2, 2])
    network.load_state_dict({k[2:]: v for k, v in stored.items() if k.startswith("w.")})
    network.double().train()(stored["input"].double())
    running = {k: v.float() for k, v in network.state_dict().items() if "running_" in k}
    fixture.write("n_attention_unet_running", running, {})
