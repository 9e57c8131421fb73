use burn::tensor::{Device, Int, Tensor, TensorData};
use voxshield_kernels::DiceCe;
use voxshield_models::{
    ConResNetConfig, ModelError, Network, NetworkSpec, parameter_count, slice_difference,
};
use voxshield_testkit::device;

use crate::runs;

fn narrow(device: &Device) -> Box<dyn Network> {
    let network = ConResNetConfig::narrow(1, 2).init(4, device);
    Box::new(network.expect("valid"))
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().expect("float32")
}

#[test]
fn the_narrow_network_runs_on_any_sizes() {
    for patch in [[16, 16, 16], [5, 11, 9], [1, 7, 8]] {
        let spec = NetworkSpec {
            patch,
            ..NetworkSpec::new(2, 3)
        };
        runs("con-res-net", &spec);
    }
}

#[test]
fn the_count_of_a_configuration_is_that_of_its_network() {
    let config = ConResNetConfig::narrow(2, 5);
    let network = config.init(0, &device()).expect("valid");
    assert_eq!(parameter_count(&network) as u64, config.parameter_count());
}

#[test]
fn equal_slices_have_no_difference_and_no_gradient() {
    let x = [1.0f32, 1.0, 3.0, 2.0, 2.0];
    let x = Tensor::<1>::from_floats(x, &device().autodiff()).require_grad();
    let y = slice_difference(x.clone().reshape([1, 1, 5, 1, 1]));
    assert_eq!(values(y.clone().inner()), [0.0, 0.0, 2.0, 1.0, 0.0]);
    let gradients = y.sum().backward();
    let gradient = x.grad(&gradients).expect("a gradient");
    assert_eq!(values(gradient), [0.0, -1.0, 2.0, -1.0, 0.0]);
}

/// A volume of equal slices, as padding makes them, and one of a single slice.
#[test]
fn constant_volumes_give_finite_gradients() {
    let device = device().autodiff();
    let network = narrow(&device);
    for shape in [[1, 1, 4, 8, 8], [1, 1, 1, 8, 8]] {
        let x = Tensor::<5>::full(shape, 0.5, &device).require_grad();
        let [_, _, depth, height, width] = shape;
        let labels = Tensor::<4, Int>::zeros([1, depth, height, width], &device);
        let loss = network.training_loss(x.clone(), labels, &DiceCe::default());
        let gradients = loss.expect("labels that fit").backward();
        let gradient = values(x.grad(&gradients).expect("a gradient"));
        assert!(gradient.iter().all(|g| g.is_finite()), "{shape:?}");
        for (name, data) in network.gradients(&gradients).expect("readable") {
            let data = data.try_to_vec::<f32>().expect("float32");
            assert!(data.iter().all(|g| g.is_finite()), "{shape:?}: {name}");
        }
    }
}

#[test]
fn dropout_is_for_training_only() {
    let device = device().autodiff();
    let config = ConResNetConfig {
        dropout: 0.5,
        ..ConResNetConfig::narrow(1, 2)
    };
    let make = || -> Box<dyn Network> { Box::new(config.init(4, &device).expect("valid")) };
    let x: Vec<f32> = (0..512u16)
        .map(|i| f32::from(i * 37 % 101) / 101.0)
        .collect();
    let x = Tensor::<5>::from_data(TensorData::new(x, [1, 1, 8, 8, 8]), &device);
    let output = |network: &dyn Network| values(network.forward(x.clone()).inner());
    let (first, second) = (make(), make());
    let drawn = output(&*first);
    assert_eq!(drawn, output(&*second), "a function of the seed");
    assert_ne!(drawn, output(&*first), "another draw each time");
    let frozen = output(&*first.frozen());
    assert_eq!(frozen, output(&*second.frozen()));
    assert_eq!(frozen, values(first.valid().forward(x.clone().inner())));
    assert_ne!(frozen, drawn);
}

#[test]
fn impossible_structures_are_refused() {
    let refused = |change: &dyn Fn(&mut ConResNetConfig)| {
        let mut config = ConResNetConfig::narrow(1, 2);
        change(&mut config);
        let error = config
            .init(0, &device())
            .expect_err("an invalid configuration");
        // As text: NaN is not equal to itself.
        let validated = config.validate().map_err(|error| error.to_string());
        assert_eq!(validated, Err(error.to_string()));
        error
    };
    let zero = |what| ModelError::Zero { what };
    assert_eq!(refused(&|c| c.in_channels = 0), zero("in_channels"));
    assert_eq!(refused(&|c| c.classes = 0), zero("classes"));
    assert_eq!(refused(&|c| c.widths[3] = 0), zero("widths"));
    assert_eq!(refused(&|c| c.groups = 0), zero("groups"));
    assert_eq!(
        refused(&|c| c.widths[1] = 20),
        ModelError::NotAMultiple {
            what: "widths",
            divisor: 8,
            why: "the groups of a normalisation",
            found: 20
        }
    );
    for dropout in [-0.1, 1.0, f64::NAN, f64::INFINITY] {
        let error = refused(&|c| c.dropout = dropout);
        assert!(
            matches!(
                error,
                ModelError::OutOfRange {
                    what: "dropout",
                    ..
                }
            ),
            "{dropout}: {error:?}"
        );
    }
    for error in [
        refused(&|c| c.widths = [usize::MAX - 7; 4]),
        refused(&|c| c.classes = usize::MAX),
        refused(&|c| c.in_channels = usize::MAX),
    ] {
        assert!(matches!(error, ModelError::TooLarge { .. }), "{error:?}");
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let network = narrow(&device());
    assert_eq!(network.check_input(&[1, 1, 1, 2, 1]), Ok(()));
    for shape in [
        [1, 2, 8, 8, 8],
        [0, 1, 8, 8, 8],
        [1, 1, 0, 8, 8],
        [1, 1, 1, 1, 1],
    ] {
        assert!(network.check_input(&shape).is_err(), "{shape:?}");
    }
}

#[test]
fn configurations_are_read_and_written_and_typing_errors_noticed() {
    let config = ConResNetConfig::published(4, 3);
    let text = serde_json::to_string(&config).expect("serialisable");
    let read: ConResNetConfig = serde_json::from_str(&text).expect("readable");
    assert_eq!(read, config);
    let misspelt = text.replace("groups", "group");
    assert!(serde_json::from_str::<ConResNetConfig>(&misspelt).is_err());
}
