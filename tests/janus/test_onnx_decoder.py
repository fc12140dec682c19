"""The image decoder's ONNX graph draws what transformers' modules draw, and stands back where it cannot."""

import copy

import pytest
import torch
from transformers import JanusVQVAE, JanusVQVAEConfig

from milr_core.janus.backends import image_head, pixel_decoder
from milr_core.janus.onnx_decoder import OnnxDecoder, _Graph
from milr_core.janus.onnx_head import OnnxHead, writable


def random_decoder(**changed) -> JanusVQVAE:
    sizes = {"embed_dim": 96, "latent_channels": 128, "channel_multiplier": [1, 1, 1, 2, 4, 4], "num_res_blocks": 0}
    config = JanusVQVAEConfig(
        **{**sizes, **changed}, base_channels=32, num_embeddings=20, projection_dim=8, num_patches=6
    )
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        model = JanusVQVAE(config).eval()
        for weight in model.parameters():  # norms scale and shift too, and pixels fill their range
            weight.normal_(0, 0.08) if weight.dim() > 1 else weight.add_(torch.randn_like(weight) * 0.1)
    return model


@pytest.mark.parametrize("blocks", [0, 1])
def test_the_graph_draws_the_same_pixels_one_image_or_several(blocks):
    model = random_decoder(num_res_blocks=blocks)
    decode = pixel_decoder(model)
    assert isinstance(decode, OnnxDecoder)
    tokens = torch.randint(0, 20, (3, 36), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        slow = model.decode(tokens)
    assert slow.shape == (3, 3, 192, 192) and slow.std() > 0.2
    torch.testing.assert_close(decode(tokens), slow, rtol=0, atol=1 / 2550)
    torch.testing.assert_close(decode(tokens[1:2]), slow[1:2], rtol=0, atol=1 / 2550)


def test_branches_that_add_nothing_are_left_out_and_change_no_pixel():
    model = random_decoder(num_res_blocks=1)
    whole = len(_Graph(model).drawing())
    with torch.no_grad():
        for block in (model.decoder.up[-1].block[0], model.decoder.up[1].block[1], model.decoder.mid.block_1):
            block.conv2.weight.zero_()
            block.conv2.bias.zero_()
    assert len(_Graph(model).drawing()) < whole
    tokens = torch.randint(0, 20, (2, 36), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        slow = model.decode(tokens)
    torch.testing.assert_close(pixel_decoder(model)(tokens), slow, rtol=0, atol=1 / 2550)


def test_the_embedded_model_draws_the_same_image(embedded):
    tokens = torch.randint(0, embedded.hf.config.vq_config.num_embeddings, (2, embedded.num_image_tokens))
    with torch.no_grad():
        slow = embedded.hf.decode_image_tokens(tokens).permute(0, 3, 1, 2)
    assert isinstance(embedded._decode_pixels, OnnxDecoder)
    torch.testing.assert_close(embedded._decode_pixels(tokens), slow, rtol=0, atol=1 / 255)


def test_what_the_graph_does_not_know_is_left_to_torch():
    model = random_decoder(channel_multiplier=[1, 2])
    assert not isinstance(pixel_decoder(copy.deepcopy(model).bfloat16()), OnnxDecoder)
    model.decoder.mid.attn_1 = torch.nn.Identity()
    assert not isinstance(pixel_decoder(model), OnnxDecoder)


def test_the_image_head_gives_the_same_logits_and_gradients(embedded):
    head = embedded.hf.model.generation_head
    z = torch.randn(3, 2, head.proj_out.in_features, generator=torch.Generator().manual_seed(2))
    fast = image_head(head)
    assert isinstance(fast, OnnxHead)
    torch.testing.assert_close(fast(z), head(z), rtol=1e-4, atol=1e-4)
    moved = z.clone().requires_grad_()
    asked = torch.randn(3, 2, head.vision_head.out_features, generator=torch.Generator().manual_seed(3))
    (by_fast,), (by_slow,) = (torch.autograd.grad((asked * made(moved)).sum(), moved) for made in (fast, head))
    torch.testing.assert_close(by_fast, by_slow, rtol=1e-4, atol=1e-3)
    assert image_head(copy.deepcopy(head).bfloat16()) is not fast and not writable(copy.deepcopy(head).bfloat16())
