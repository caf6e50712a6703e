"""The list of recipes: what each shows, what it reads, and what a user may give it.

It describes them without importing them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["RECIPES", "Recipe", "SHOT_COLUMNS"]

SHOTS = "DomSamangy/NBA_Shots_04_24 on GitHub"
SHOT_COLUMNS = ("LOC_X", "LOC_Y")


@dataclass(frozen=True)
class Recipe:
    """A recipe's entry in the list.

    Args:
        name: on the command line.
        module: its module in this package.
        line: what it shows.
        tables: where its default tables lie under $PUSHFORWARD_DATA.
        origin: where to download them.
        columns: columns that a user's table must have.
        player: the meaning of --player; '' if it has none.
        source: images to read without a file, by any name that `pushforward.read` knows; there are
            no tables then.
        budget: whether --budget applies.
        images: whether its table is an archive of images, in whose place a user's may be any
            folder, glob or zip.
        folders: names of two folders of images, paired by name, in the user's folder; without one
            the recipe generates its own pairs.
    """

    name: str
    module: str
    line: str
    tables: tuple[str, ...]
    origin: str
    columns: tuple[str, ...] = ()
    player: str = ""
    source: str = ""
    budget: bool = False
    images: bool = False
    folders: tuple[str, ...] = ()


_STATS = "josh-thurston/NBA-Best on GitHub (MIT)"
_DRAWN = "generates its own data"
_TOTALS = (
    "year",
    "player",
    "games",
    "minutes_played",
    "field_goals",
    "field_goal_attempts",
    "three_point_attempts",
    "free_throws",
    "free_throw_attempts",
    "offense_rebounds",
    "defense_rebounds",
    "assists",
    "steals",
    "blocks",
    "turnovers",
    "points",
)
RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "curry",
            "basketball.curry",
            "Stephen Curry's shots of 2015-16 as a density on the court, by kernels that adapt",
            ("nba_shots/stephen_curry_2016.csv.gz",),
            SHOTS,
            SHOT_COLUMNS,
            "the player, if the table has several",
        ),
        Recipe(
            "aldridge",
            "basketball.aldridge",
            "LaMarcus Aldridge's heat map of 2015-16: where he shot, and where they went in",
            ("nba_shots/lamarcus_aldridge_2016.csv.gz",),
            SHOTS,
            (*SHOT_COLUMNS, "SHOT_MADE"),
            "the player, if the table has several",
        ),
        Recipe(
            "hall-of-fame",
            "basketball.hall_of_fame",
            "Hall-of-Fame players in clusters, and what each cluster is",
            ("nba_player_stats/Seasons_Stats_1956_2017.csv.gz",),
            _STATS,
            _TOTALS,
        ),
        Recipe(
            "seasons",
            "basketball.seasons",
            "players' seasons in the plane of their two principal components",
            ("nba_player_stats/Seasons_Stats_1956_2017.csv.gz",),
            _STATS,
            _TOTALS,
            "a player whose best season to name; repeatable",
        ),
        Recipe(
            "trajectories",
            "basketball.trajectories",
            "the principal trajectories of players on the court, five seconds long",
            (
                "nba_tracking/cle_2015_16_train_5_games.npz",
                "nba_tracking/cle_2015_16_val_4_games.npz",
            ),
            "tufts-ml/team-dynamics-time-series on GitHub (MIT)",
            ("player_coords", "example_stop_idxs"),
        ),
        Recipe(
            "shot-maps",
            "basketball.shot_maps",
            (
                "players' shooting maps in ten numbers, by an auto-encoder and "
                "by PCA, and who shoots like whom"
            ),
            ("nba_shots/NBA_2015_Shots.csv.xz", "nba_shots/NBA_2016_Shots.csv.xz"),
            SHOTS,
            ("PLAYER_NAME", "SEASON_2", *SHOT_COLUMNS),
            "a player whose neighbours to name; repeatable",
        ),
        Recipe(
            "ring",
            "ring",
            "a ring whose density is known: data, a VAE's samples and density, and the exact one",
            (),
            _DRAWN,
            budget=True,
        ),
        Recipe(
            "quiz",
            "quiz",
            (
                "why not average p(x|z)? naive Monte Carlo, IWAE and AIS against the "
                "exact log p(x), for 2, 10 and 50 codes"
            ),
            (),
            _DRAWN,
            budget=True,
        ),
        Recipe(
            "mnist",
            "mnist",
            "digits on the plane of two codes; samples and reconstructions with twenty",
            (),
            "MNIST, by name (--file digits: scikit-learn's)",
            source="mnist",
            budget=True,
        ),
        Recipe(
            "sharpness",
            "sharpness",
            (
                "how sharp a VAE's reconstructions are, from a large sigma to a small one, and at"
                " what cost"
            ),
            (),
            "digits, which come with scikit-learn",
            source="digits",
            budget=True,
        ),
        Recipe(
            "one-dimension",
            "one_dimension",
            (
                "a GAN learns N(-1, 1), frame by frame: densities of data and "
                "samples, and the critic's D(x)"
            ),
            (),
            _DRAWN,
            budget=True,
        ),
        Recipe(
            "modes",
            "modes",
            (
                "a ring of 8 modes and a grid of 25: which of them a GAN "
                "finds, with and without remedies"
            ),
            (),
            _DRAWN,
            budget=True,
        ),
        Recipe(
            "dirac",
            "dirac",
            (
                "the Dirac-GAN: spirals of the smallest game, for each game and "
                "remedy, beside their exact growth"
            ),
            (),
            _DRAWN,
            budget=True,
        ),
        Recipe(
            "ablation",
            "ablation",
            (
                "the hacks for training GANs, one by one, on a ring of 8 modes and a grid of 25:"
                " which help"
            ),
            (),
            _DRAWN,
            budget=True,
        ),
        Recipe(
            "images",
            "images",
            (
                "a DCGAN and an R3GAN on images: samples beside the data, and "
                "beside the nearest training images"
            ),
            (),
            "MNIST, by name (any images with --file; NAME@32 brings them to 32 pixels)",
            source="mnist",
            budget=True,
        ),
        Recipe(
            "moving-shapes",
            "moving_shapes",
            (
                "clips by a VGAN: whether its mask finds what moves, and samples with their masks,"
                " foregrounds and backgrounds"
            ),
            (),
            "generated (any clips with --file)",
            source="moving-shapes",
            budget=True,
        ),
        Recipe(
            "codes",
            "codes",
            (
                "InfoGAN finds categories without labels: how well they match the labels, and what"
                " its continuous codes change"
            ),
            (),
            "MNIST, by name, or scikit-learn's digits if it is not available",
            source="mnist",
            budget=True,
        ),
        Recipe(
            "gans-against-vaes",
            "gans_against_vaes",
            "a GAN and a VAE with as many parameters and images shown: every measure",
            (),
            "MNIST, by name, or scikit-learn's digits if it is not available",
            source="mnist",
            budget=True,
        ),
        Recipe(
            "lapgan",
            "pyramid",
            (
                "a pyramid of GANs beside a DCGAN of as many parameters and as much CPU time, and"
                " whether its detail fits the coarse image"
            ),
            (),
            "CIFAR-10's first batch, by name, or scikit-learn's digits if it is not available",
            source="cifar10-batch1",
            budget=True,
        ),
        Recipe(
            "facades",
            "translation.facades",
            "facades from maps of their parts, and the maps from photographs, by pix2pix",
            ("facades/facades_train.zip",),
            "the facades archive of pix2pix (photographs left, label maps right)",
            budget=True,
            images=True,
        ),
        Recipe(
            "colourise",
            "translation.colourise",
            "black-and-white images coloured in Lab by pix2pix: L1 alone, and with a critic",
            (),
            "batch 1 of CIFAR-10, by name (any images with --file)",
            source="cifar10-batch1",
            budget=True,
        ),
        Recipe(
            "edges",
            "translation.edges",
            "images from their outlines by pix2pix: L1 alone, and with a critic",
            ("emoji/twemoji64.zip",),
            "a zip or folder of images, such as Twemoji (CC BY 4.0)",
            budget=True,
            images=True,
        ),
        Recipe(
            "super-resolution",
            "super_resolution",
            "images enlarged four times: by interpolation, an SRResNet, and an SRGAN",
            ("emoji/twemoji64.zip",),
            "a zip or folder of images of 64 pixels or more, such as Twemoji (CC BY 4.0)",
            budget=True,
            images=True,
        ),
        Recipe(
            "day-night",
            "translation.day_night",
            "scenes by night from scenes by day, by pix2pix",
            (),
            "synthetic scenes (--file: a folder with day/ and night/, paired by name)",
            budget=True,
            folders=("day", "night"),
        ),
        Recipe(
            "aerial-map",
            "translation.aerial_map",
            "maps from aerial views, by pix2pix",
            (),
            "synthetic places (--file: a folder with aerial/ and map/, paired by name)",
            budget=True,
            folders=("aerial", "map"),
        ),
        Recipe(
            "two-colours",
            "translation.two_colours",
            "shapes of two equally likely colours: L1 averages them to grey, a critic does not",
            (),
            _DRAWN,
            budget=True,
        ),
    )
}
