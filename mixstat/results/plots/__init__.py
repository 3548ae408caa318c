"""Plots of a fit. Each function draws on `ax` (a new figure if None) and returns it; matplotlib loads on first use."""

from mixstat.results.plots.coefficients import coefficients
from mixstat.results.plots.confusion import confusion, joint_counts
from mixstat.results.plots.fits import fitted_means
from mixstat.results.plots.frequencies import responsibilities, rootogram
from mixstat.results.plots.gates import gate, gate_effects
from mixstat.results.plots.occasions import bin_means, bin_times, knots, observed_means, residuals_by_time
from mixstat.results.plots.rare_events import calibration as rare_calibration
from mixstat.results.plots.rare_events import precision_recall
from mixstat.results.plots.searches import criteria, starts
from mixstat.results.plots.style import COLOURS, GREY, MARKERS, colour, legend, new_figure, plain, to_png
from mixstat.results.plots.survival import calibration as survival_calibration
from mixstat.results.plots.survival import curves as survival_curves
from mixstat.results.plots.trajectories import Band, Strands, profiles, trajectories

__all__ = [
    "COLOURS",
    "GREY",
    "MARKERS",
    "Band",
    "Strands",
    "bin_means",
    "bin_times",
    "coefficients",
    "colour",
    "confusion",
    "criteria",
    "fitted_means",
    "gate",
    "gate_effects",
    "joint_counts",
    "knots",
    "legend",
    "new_figure",
    "observed_means",
    "plain",
    "precision_recall",
    "profiles",
    "rare_calibration",
    "residuals_by_time",
    "responsibilities",
    "rootogram",
    "starts",
    "survival_calibration",
    "survival_curves",
    "to_png",
    "trajectories",
]
