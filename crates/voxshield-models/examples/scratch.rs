//! scratch
#![allow(clippy::print_stdout)]
use burn::module::Module;
use burn::tensor::*;
use std::time::Instant;
use voxshield_models::*;
use voxshield_testkit::*;
fn time(name: &str, n: usize, mut f: impl FnMut()) { f(); let mut best = f64::MAX; for _ in 0..n { let t = Instant::now(); f(); best = best.min(t.elapsed().as_secs_f64()); } println!("{name}: {:.1} ms", best*1e3); }
fn v<const D: usize>(t: Tensor<D>) -> Vec<f32> { t.into_data().try_into_vec().unwrap() }
fn dice_ce(logits: Tensor<5>, labels: Tensor<4, Int>) -> Tensor<1> {
    let classes = logits.dims()[1];
    let one_hot: Tensor<5> = labels.one_hot::<5>(classes).float().permute([0, 4, 1, 2, 3]);
    let log_p = burn::tensor::activation::log_softmax(logits, 1);
    let ce = (log_p.clone() * one_hot.clone()).sum_dim(1).mean().neg();
    let sum = |x: Tensor<5>| -> Tensor<2> { x.flatten::<3>(2, 4).sum_dim(2).squeeze_dim(2) };
    let p = log_p.exp();
    let both = sum(p.clone() * one_hot.clone());
    let dice = (both * 2.0 + 1e-5) / (sum(p) + sum(one_hot) + 1e-5);
    ce + dice.narrow(1, 1, classes - 1).mean().neg() + 1.0
}
fn load<M: NamedParameters>(m: M, g: &Golden) -> M {
    let t: TensorMap = g.keys().iter().filter_map(|k| k.strip_prefix("w.")).map(|n| { let k = format!("w.{n}"); (n.to_string(), TensorData::new(g.values(&k), g.shape(&k))) }).collect();
    load_parameters(m, &t).unwrap()
}
fn report<M: NamedParameters>(name: &str, m: &M, g: &Golden, gr: &Gradients, out: Vec<f32>, gi: Vec<f32>) {
    let gs = gradients(m, gr).unwrap();
    let all = gs.keys().map(|n| max_abs(&g.values(&format!("g.{n}")))).fold(0.0, f64::max);
    let mut worst = (0.0, String::new());
    for (n, d) in &gs { let e = g.values(&format!("g.{n}")); let r = max_difference(&d.try_to_vec::<f32>().unwrap(), &e).0 / (1e-4*max_abs(&e) + 1e-6*all); if r > worst.0 { worst = (r, n.clone()); } }
    let gie = g.values("grad_input");
    println!("{name}: output {:e}; grad_input rel {:e}; params worst fraction of tolerance {:?} of {}", max_difference(&out, &g.values("output")).0, max_difference(&gi, &gie).0 / max_abs(&gie), worst, gs.len());
}
fn main() {
    let dev = device().autodiff();
    let cfg = |i, o, r| ResidualUnetConfig { in_channels: i, out_channels: o, channels: vec![4,8,16], strides: vec![2,2], res_units: r, activation: if r == 1 { Activation::LeakyRelu(0.01) } else { Activation::Relu } };
    for c in [1usize, 4] {
        let name = format!("d_unet_surrogate_c{c}"); let g = Golden::open(&name);
        let net = load(cfg(c, 3, 2).init(0, &dev).unwrap(), &g);
        let x = g.tensor::<5>("input", &dev).require_grad(); let y = net.forward(x.clone());
        let l = dice_ce(y.clone(), g.int_tensor("label", &dev)); println!("loss {:?} {:?}", v(l.clone().inner()), g.values("loss"));
        let gr = l.backward(); report(&name, &net, &g, &gr, v(y.inner()), v(x.grad(&gr).unwrap()));
        let name = format!("d_noise_unet_c{c}"); let g = Golden::open(&name);
        let net = load(NoiseGeneratorConfig { unet: cfg(c, c, 1), epsilon: 4.0/255.0 }.init(0, &dev).unwrap(), &g);
        let x = g.tensor::<5>("input", &dev).require_grad(); let y = net.forward(x.clone());
        let gr = (y.clone() * g.tensor::<5>("cotangent", &dev)).sum().backward(); report(&name, &net, &g, &gr, v(y.inner()), v(x.grad(&gr).unwrap()));
    }
    for (name, cfg, n) in [("surrogate(1,3)", ResidualUnetConfig::surrogate(1,3), 32usize), ("narrow(1,3)", ResidualUnetConfig::narrow(1,3), 32), ("narrow(1,3)", ResidualUnetConfig::narrow(1,3), 48), ("noise(1)", ResidualUnetConfig::noise_generator(1), 32)] {
        let t = Instant::now(); let net = cfg.init(0, &dev).unwrap(); println!("{name} init {:.0} ms", t.elapsed().as_secs_f64()*1e3);
        let inner = net.valid();
        let x0 = Tensor::<5>::random([1,1,n,n,n], Distribution::Normal(0.,1.), &device());
        time(&format!("{name} {n}^3 fwd"), 3, || { let _ = inner.forward(x0.clone()).into_data(); });
        time(&format!("{name} {n}^3 fwd+bwd"), 3, || { let x = Tensor::<5>::from_data(x0.to_data(), &dev).require_grad(); let g = net.forward(x.clone()).powi_scalar(2).mean().backward(); let _ = x.grad(&g).unwrap().into_data(); });
    }
}
