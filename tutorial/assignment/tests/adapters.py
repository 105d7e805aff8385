"""The tests call your functions through this file, and through nothing else.

As it is, it calls the package segmenter/. If you write your functions elsewhere, under other names
or with other arguments, change the imports and the bodies here, not the tests.
"""
from segmenter import (
    algorithm,
    attention,
    ddim,
    evaluation,
    flipping,
    hard,
    latents,
    prompts,
    rivals,
    training,
    whole,
)


def run_pixel_accuracy(labels, truth):
    return whole.pixel_accuracy(labels, truth)


def run_latent(mean, logvar, noise, scaling):
    return latents.latent(mean, logvar, noise, scaling)


def run_psnr(a, b):
    return latents.psnr(a, b)


def run_patch(i, j, factor, side):
    return latents.patch(i, j, factor, side)


def run_alpha_bars(steps, start, end):
    return ddim.alpha_bars(steps, start, end)


def run_clean(z_t, eps, abar_t):
    return ddim.clean(z_t, eps, abar_t)


def run_ddim_step(z, eps, abar_s, abar_t):
    return ddim.ddim_step(z, eps, abar_s, abar_t)


def run_invert(predict, z, abars, ts):
    return ddim.invert(predict, z, abars, ts)


def run_training_loss(unet, z0, noise, t, text):
    return ddim.training_loss(unet, z0, noise, t, text)


def run_timestep_embedding(t, width):
    return ddim.timestep_embedding(t, width)


def run_which_caption(model, image, captions):
    return ddim.which_caption(model, image, captions)


def run_attention_map(q, k):
    return attention.attention_map(q, k)


def run_attend(q, k, v):
    return attention.attend(q, k, v)


def run_sees(A, grid, y, x):
    return attention.sees(A, grid, y, x)


def run_cells_looked_at(A):
    return attention.cells_looked_at(A)


def run_find_span(ids, name):
    return prompts.find_span(ids, name)


def run_class_map(C, span):
    return prompts.class_map(C, span)


def run_dual_cross(q, to_k, states, heads):
    return prompts.dual_cross(q, to_k, states, heads)


def run_is_there(captured):
    return prompts.is_there(captured)


def run_minmax(y):
    return hard.minmax(y)


def run_fuse(maps, weights, full):
    return hard.fuse(maps, weights, full)


def run_power_times(A, x, tau):
    return hard.power_times(A, x, tau)


def run_coarse_refine(A, x, r, full):
    return hard.coarse_refine(A, x, r, full)


def run_random_walk_with_restart(A, x, alpha, steps):
    return hard.random_walk_with_restart(A, x, alpha, steps)


def run_walkers(A, cell, tau):
    return hard.walkers(A, cell, tau)


def run_stationary(A, tolerance):
    return hard.stationary(A, tolerance)


def run_segment_from_click(captured, cell):
    return hard.segment_from_click(captured, cell)


def run_merge(scores):
    return flipping.merge(scores)


def run_label(scores, threshold):
    return flipping.label(scores, threshold)


def run_confusion(truth, labels, n):
    return flipping.confusion(truth, labels, n)


def run_choose_threshold(scores):
    return flipping.choose_threshold(scores)


def run_miou(*arguments, **options):
    return algorithm.miou(*arguments, **options)


def run_faseg_scores(x, maps, weights, tau, grid):
    return algorithm.faseg_scores(x, maps, weights, tau, grid)


def run_trust(s, x):
    return algorithm.trust(s, x)


def run_own_scores(method, captured):
    return algorithm.own_scores(method, captured)


def run_twin_scores(method, captured, names, text):
    return algorithm.twin_scores(method, captured, names, text)


def run_raise_word(z, z_empty, span, weight):
    return rivals.raise_word(z, z_empty, span, weight)


def run_reduce_entropy(A, lam):
    return rivals.reduce_entropy(A, lam)


def run_iterate(P, x, n):
    return rivals.iterate(P, x, n)


def run_three_way(best, k, certain, threshold):
    return rivals.three_way(best, k, certain, threshold)


def run_symmetric_kl(X, Y):
    return rivals.symmetric_kl(X, Y)


def run_cluster_distance(S, M):
    return rivals.cluster_distance(S, M)


def run_class_attention(levels, A, weights, size):
    return rivals.class_attention(levels, A, weights, size)


def run_merge_maps(maps, grid, tau, anchors):
    return rivals.merge_maps(maps, grid, tau, anchors)


def run_inversion_loss(S, M, grid, anchor, repel, weight):
    return rivals.inversion_loss(S, M, grid, anchor, repel, weight)


def run_map_bytes(*arguments, **options):
    return evaluation.map_bytes(*arguments, **options)


def run_reduce_zero_label(labels):
    return evaluation.reduce_zero_label(labels)


def run_is_better(*arguments, **options):
    return evaluation.is_better(*arguments, **options)


def run_word_gain(network, pictures, captions, t, noise):
    return training.word_gain(network, pictures, captions, t, noise)


def run_pointing(values, inside):
    return training.pointing(values, inside)


def run_better_maps(network, scenes):
    return training.better_maps(network, scenes)
